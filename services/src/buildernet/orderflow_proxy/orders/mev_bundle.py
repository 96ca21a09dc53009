# SPDX-License-Identifier: MIT
"""The fields of an MEV-Share bundle.

Reference: docs/protocols/orderflow-orders.md.
"""

from typing import Final

import msgspec

MAX_BODIES: Final = 50
"""Entries of one bundle and its nested ones together, as the network's other implementations."""

MAX_DEPTH: Final = 1
"""A bundle in a bundle, no deeper."""

MAX_REFUNDS: Final = 50
"""Refunds and shares: at most one for each entry."""


def _null() -> None:
    """Give a default that `omit_defaults` does not leave out."""


class Inclusion(msgspec.Struct, frozen=True):
    """The blocks that it may enter."""

    block: str = msgspec.field(default_factory=lambda: "0x0")
    max_block: str = msgspec.field(name="maxBlock", default_factory=lambda: "0x0")


class Refund(msgspec.Struct, frozen=True, rename="camel"):
    """What part of its gain an entry gets back."""

    body_idx: int
    percent: int


class RefundShare(msgspec.Struct, frozen=True):
    """Who gets what part of a refund."""

    address: str
    percent: int


class Validity(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The refunds; members stand in the text only when set."""

    refund: tuple[Refund, ...] | None = None
    refund_config: tuple[RefundShare, ...] | None = None


class Metadata(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What the first node puts in."""

    signer: str | None = None
    replacement_nonce: int | None = None
    cancelled: bool | None = None


class Body(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One entry: exactly one of a transaction and a bundle (a hash is refused)."""

    hash: str | None = None
    tx: str | None = None
    bundle: "MevBundle | None" = None
    can_revert: bool = False
    revert_mode: str = ""


class MevBundle(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The parameter as it travels, in the order in which the Go proxy writes its members."""

    version: str = msgspec.field(default_factory=str)
    replacement_uuid: str | None = None
    inclusion: Inclusion = msgspec.field(default_factory=Inclusion)
    body: tuple[Body, ...] | None = msgspec.field(default_factory=_null)
    validity: Validity = msgspec.field(default_factory=Validity)
    metadata: Metadata | None = None
    privacy: None = None
    """Has to be absent or null."""
