# SPDX-License-Identifier: MIT
"""Which addresses may send, and the node's name that their rows carry.

They come from the configuration and from the hub's list of active builders. An entry of the list
that cannot be read is left out and counted; while the hub does not answer, the last list stays.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from buildernet.archive.errors import UnknownSenderError
from buildernet.base.errors import BuildernetError
from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import AddressFormatError

_PRODUCTION: Final = "production"
_INTERNAL: Final = "/api/internal/l1-builder"
MAX_LIST_BYTES: Final = 4 << 20
"""A thousand builders with their certificates."""

_MAX_NAME_CHARS: Final = 255

FetchList = Callable[[], Awaitable[bytes]]

_log = logging.getLogger(__name__)


class _OrderflowProxy(msgspec.Struct):
    ecdsa_pubkey_address: str


class _Builder(msgspec.Struct):
    name: str
    orderflow_proxy: _OrderflowProxy


def list_path(network: str) -> str:
    """Return where the hub's internal listener has the active builders of a network."""
    if network == _PRODUCTION:
        return f"{_INTERNAL}/v1/builders"
    return f"{_INTERNAL}/v2/network/{network}/builders"


def parse_builders(body: bytes) -> tuple[dict[Address, str], int]:
    """Read the hub's list.

    Returns:
        Names by address, and how many entries could not be read.

    Raises:
        BuildernetError: It is no JSON array.
    """
    try:
        entries = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise BuildernetError(f"the hub's list of builders is no JSON array: {exc}") from exc
    found: dict[Address, str] = {}
    unreadable = 0
    for entry in entries:
        try:
            builder = msgspec.json.decode(entry, type=_Builder)
            if not 0 < len(builder.name) <= _MAX_NAME_CHARS:
                raise AddressFormatError("a builder without a name")
            found[Address.parse(builder.orderflow_proxy.ecdsa_pubkey_address)] = builder.name
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, AddressFormatError):
            unreadable += 1
    return found, unreadable


class Senders:
    """The addresses that may send."""

    def __init__(
        self, configured: Iterable[tuple[Address, str]], *, registry: CollectorRegistry
    ) -> None:
        self._configured = dict(configured)
        self._known = dict(self._configured)
        self._failures = Counter(
            "archive_hub_failures", "Lists that could not be fetched or read.", registry=registry
        )
        self._unreadable = Gauge(
            "archive_hub_entries_unreadable", "Entries left out of the list.", registry=registry
        )
        known = Gauge("archive_senders", "Addresses that may send.", registry=registry)
        known.set_function(lambda: len(self._known))

    def authorise(self, signer: Address) -> str:
        """Return the name of the node that signs with an address.

        Raises:
            UnknownSenderError: No known node does.
        """
        name = self._known.get(signer)
        if name is None:
            raise UnknownSenderError(f"{signer} may not send to this archive")
        return name

    async def refresh(self, fetch: FetchList) -> None:
        """Take the hub's list once; a failure leaves the last one."""
        try:
            listed, unreadable = parse_builders(await fetch())
        except BuildernetError as exc:
            self._failures.inc()
            _log.warning("hub_list_failed reason=%s", exc)
            return
        self._unreadable.set(unreadable)
        self._known = listed | self._configured

    async def follow(self, fetch: FetchList, *, every_s: float) -> None:
        """Refresh again and again; runs until cancelled."""
        while True:
            await self.refresh(fetch)
            await asyncio.sleep(every_s)
