# SPDX-License-Identifier: MIT
"""The fields of a bundle: as JSON members, and as typed values.

Reference: docs/protocols/orderflow-orders.md.
"""

from typing import Final
from uuid import UUID

import msgspec

from buildernet.ethereum.address import Address
from buildernet.ethereum.keccak import compute_keccak256
from buildernet.ethereum.transaction import Transaction
from buildernet.orderflow_proxy.orders.errors import OrderParamsError
from buildernet.orderflow_proxy.orders.parsed import TransactionReader
from buildernet.orderflow_proxy.orders.wire import (
    decode_param,
    encode_hex,
    read_address,
    read_hash,
    read_hashes,
    read_quantity,
    read_u64,
    read_uuid,
)

MAX_TRANSACTIONS: Final = 100
"""As every implementation of the network."""

MAX_HASHES: Final = 100
"""Reverting and dropping hashes: each names a transaction of the bundle."""

MAX_REFUND_HASHES: Final = 1
"""The builder pays back for one transaction."""

MAX_TARGETS: Final = 100
MAX_TARGET_SLOTS: Final = 1000
"""Bottom-of-block bundles: contracts, and storage slots of all of them together."""

MAX_REFUND_PERCENT: Final = 99

V1: Final = "v1"
V2: Final = "v2"
BOTTOM_OF_BLOCK: Final = "BottomOfBlock"


def _null() -> None:
    """Give a default that `omit_defaults` does not leave out."""


class BundleParams(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The parameter as it travels, in the order in which the Go proxy writes its members.

    `txs` and `blockNumber` always stand in it, null if unset; the rest only when set.
    """

    txs: tuple[str, ...] | None = msgspec.field(default_factory=_null)
    block_number: str | None = msgspec.field(default_factory=_null)
    min_timestamp: int | None = None
    max_timestamp: int | None = None
    reverting_tx_hashes: tuple[str, ...] | None = None
    replacement_uuid: str | None = None
    version: str | None = None
    replacement_nonce: int | None = None
    signing_address: str | None = None
    refund_identity: str | None = None
    dropping_tx_hashes: tuple[str, ...] | None = None
    uuid: str | None = None
    refund_percent: int | None = None
    refund_recipient: str | None = None
    refund_tx_hashes: tuple[str, ...] | None = None
    delayed_refund: bool | None = None
    desired_state: str | None = None
    target_addresses: tuple[str, ...] | None = None
    target_slots: tuple[tuple[str, ...], ...] | None = None


_DECODER: Final = msgspec.json.Decoder(BundleParams)


class Bundle(msgspec.Struct, frozen=True):
    """The typed fields of a bundle, in the sender's order."""

    transactions: tuple[Transaction, ...]
    block: int | None
    """None where the member is missing or null; 0 also means the next block."""
    min_timestamp: int | None
    max_timestamp: int | None
    reverting: tuple[bytes, ...]
    dropping: tuple[bytes, ...]
    replacement_uuid: UUID | None
    replacement_nonce: int | None
    version: str | None
    signing_address: Address | None
    refund_percent: int | None
    refund_recipient: Address | None
    refund_hashes: tuple[bytes, ...]
    refund_hash_texts: tuple[str, ...]
    """As the sender wrote them: the network's unique key covers the text."""
    refund_identity: Address | None
    delayed_refund: bool | None
    desired_state: str | None
    target_addresses: tuple[Address, ...]
    target_slots: tuple[tuple[bytes, ...], ...]

    @property
    def hash(self) -> bytes:
        """The network's bundle hash: keccak over the transactions' hashes."""
        return compute_keccak256(b"".join(each.hash for each in self.transactions))


def read_bundle(param: bytes, transactions: TransactionReader) -> Bundle:
    """Read the JSON text of the parameter, decode and validate its transactions.

    Raises:
        OrderParamsError: A member has another type, form or size than the method's.
        OrderRuleError: Bytes are no transaction that a block may hold.
    """
    wire = decode_param(_DECODER, param)
    texts = wire.txs or ()
    if len(texts) > MAX_TRANSACTIONS:
        raise OrderParamsError(f"txs has {len(texts)} entries, more than {MAX_TRANSACTIONS}")
    refund_texts = wire.refund_tx_hashes or ()
    percent = read_u64(wire.refund_percent, name="refundPercent")
    if percent is not None and percent > MAX_REFUND_PERCENT:
        raise OrderParamsError(f"refundPercent is above {MAX_REFUND_PERCENT}")
    uuid = read_uuid(wire.uuid, name="uuid")
    replacement_uuid = read_uuid(wire.replacement_uuid, name="replacementUuid")
    if uuid and replacement_uuid:
        raise OrderParamsError("one of uuid or replacementUuid fields should be empty")
    block = wire.block_number
    return Bundle(
        block=None if block is None else read_quantity(block, name="blockNumber"),
        min_timestamp=read_u64(wire.min_timestamp, name="minTimestamp"),
        max_timestamp=read_u64(wire.max_timestamp, name="maxTimestamp"),
        reverting=read_hashes(wire.reverting_tx_hashes, name="revertingTxHashes", limit=MAX_HASHES),
        dropping=read_hashes(wire.dropping_tx_hashes, name="droppingTxHashes", limit=MAX_HASHES),
        replacement_uuid=replacement_uuid or uuid,
        replacement_nonce=read_u64(wire.replacement_nonce, name="replacementNonce"),
        version=wire.version or None,
        signing_address=read_address(wire.signing_address, name="signingAddress"),
        refund_percent=percent,
        refund_recipient=read_address(wire.refund_recipient, name="refundRecipient"),
        refund_hashes=_read_refund_hashes(refund_texts),
        refund_hash_texts=refund_texts,
        refund_identity=read_address(wire.refund_identity, name="refundIdentity"),
        delayed_refund=wire.delayed_refund,
        desired_state=_read_desired_state(wire.desired_state),
        target_addresses=_read_target_addresses(wire),
        target_slots=_read_target_slots(wire),
        transactions=tuple(
            transactions.read(text, name=f"txs[{at}]") for at, text in enumerate(texts)
        ),
    )


def encode_bundle(bundle: Bundle) -> bytes:
    """Return the JSON text of the parameter, byte for byte as the Go proxy writes it."""
    return msgspec.json.encode(
        BundleParams(
            txs=tuple(encode_hex(each.raw) for each in bundle.transactions) or None,
            block_number=None if bundle.block is None else hex(bundle.block),
            min_timestamp=bundle.min_timestamp,
            max_timestamp=bundle.max_timestamp,
            reverting_tx_hashes=_encode_words(bundle.reverting),
            replacement_uuid=str(bundle.replacement_uuid) if bundle.replacement_uuid else None,
            version=bundle.version,
            replacement_nonce=bundle.replacement_nonce,
            signing_address=_encode_address(bundle.signing_address),
            refund_identity=_encode_address(bundle.refund_identity),
            dropping_tx_hashes=_encode_words(bundle.dropping),
            refund_percent=bundle.refund_percent,
            refund_recipient=_encode_address(bundle.refund_recipient),
            refund_tx_hashes=bundle.refund_hash_texts or None,
            delayed_refund=bundle.delayed_refund,
            desired_state=bundle.desired_state,
            target_addresses=tuple(each.hex() for each in bundle.target_addresses) or None,
            target_slots=tuple(
                tuple(encode_hex(slot) for slot in slots) for slots in bundle.target_slots
            )
            or None,
        )
    )


def _read_refund_hashes(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    if len(texts) > MAX_REFUND_HASHES:
        raise OrderParamsError("no more than one refund tx hash is allowed")
    return read_hashes(texts, name="refundTxHashes", limit=MAX_REFUND_HASHES)


def _read_desired_state(text: str | None) -> str | None:
    if text not in (None, BOTTOM_OF_BLOCK):
        raise OrderParamsError(f"desiredState is not {BOTTOM_OF_BLOCK}")
    return text


def _read_target_addresses(wire: BundleParams) -> tuple[Address, ...]:
    texts = wire.target_addresses or ()
    if len(texts) > MAX_TARGETS:
        raise OrderParamsError(f"targetAddresses has more than {MAX_TARGETS} entries")
    found = []
    for at, text in enumerate(texts):
        address = read_address(text, name=f"targetAddresses[{at}]")
        if address is not None:
            found.append(address)
    return tuple(found)


def _read_target_slots(wire: BundleParams) -> tuple[tuple[bytes, ...], ...]:
    lists = wire.target_slots or ()
    if lists and len(lists) != len(wire.target_addresses or ()):
        raise OrderParamsError("targetSlots has not one list for each of targetAddresses")
    if sum(len(slots) for slots in lists) > MAX_TARGET_SLOTS:
        raise OrderParamsError(f"targetSlots has more than {MAX_TARGET_SLOTS} entries")
    return tuple(
        tuple(read_hash(slot, name=f"targetSlots[{at}]") for slot in slots)
        for at, slots in enumerate(lists)
    )


def _encode_words(words: tuple[bytes, ...]) -> tuple[str, ...] | None:
    return tuple(encode_hex(word) for word in words) or None


def _encode_address(address: Address | None) -> str | None:
    return None if address is None else address.hex()
