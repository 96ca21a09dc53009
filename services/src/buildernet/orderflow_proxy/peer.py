# SPDX-License-Identifier: MIT
"""Entries of the hub's list: what is known about one other node. Bytes in, values out, no I/O.

Entries are read one by one: a broken one is named and left out, the rest of the list stays. Three
generations of entries are understood (`ip` or `dns_name`, certificate under `orderflow_proxy` or
under `instance`), and the PeerInfo of a hub that passes evidence on.

Reference: docs/protocols/orderflow-delivery.md, section "The list of peers"; orderflow-hub.md.
"""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from buildernet.base.errors import BuildernetError
from buildernet.ethereum.address import Address
from buildernet.ethereum.errors import AddressFormatError
from buildernet.net.errors import PinError
from buildernet.net.http_url import HOST_NAME
from buildernet.net.pinning import PinnedPeer

SYSTEM_PORT: Final = 5544
"""Where a node takes orders from others."""

MAX_LIST_BYTES: Final = 32 << 20
"""256 entries with evidence (128 KiB) in base64 fit; without evidence an entry has 2 KiB."""

MAX_PEERS: Final = 256
"""BuilderNet has under ten nodes; each peer costs a queue and connections."""

RESERVED_NAMES: Final = frozenset({"builder", "flashbots", "sender", "user-request"})
"""Who else orders come from or go to, in metrics, logs and the archive; and what Flashbots may do
is decided by that name."""

MAX_NAME_CHARS: Final = 128
"""A name is a label of the metrics and stands in logs."""

_NAME: Final = re.compile(f"[!-~]{{1,{MAX_NAME_CHARS}}}", re.ASCII)
_HOST_PORT: Final = re.compile(r"(.+):([0-9]{1,5})", re.ASCII)
_MAX_PORT: Final = 65535


class PeerEntryError(BuildernetError):
    """One entry of a list of peers cannot be used."""


class PeerListError(BuildernetError):
    """A list of peers is no JSON array within its limits."""


class PeerRefusedError(BuildernetError):
    """A peer of a list is not believed.

    Attributes:
        reason: Label of the metric that counts it; one of few.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Peer:
    """One other node."""

    name: str
    host: str
    """Name or IP address."""
    port: int
    certificates: str
    """PEM of what it may show in TLS; empty when it has registered none: nothing is sent to it."""
    address: Address | None
    """What it signs with; None when it has registered none: nothing is taken from it."""
    is_plain: bool = False
    """Plain HTTP: only in a file of static peers, for development."""
    # Any: JSON of whatever shape the hub's evidence has; its verifier reads it.
    evidence: Mapping[str, Any] | None = field(default=None, compare=False, hash=False)
    """The whole entry when it carries evidence (PeerInfo): what its verifier reads."""

    @property
    def can_receive(self) -> bool:
        """Whether orders may be sent to it."""
        return self.is_plain or bool(self.certificates)


@dataclass(frozen=True, slots=True)
class PeerList:
    """What a list said."""

    peers: tuple[Peer, ...]
    refused: tuple[str, ...]
    """Why entries were left out, a line each."""


def parse_peers(body: bytes, *, allow_plain: bool = False) -> PeerList:
    """Read a list of peers.

    Args:
        body: A JSON array, or an object with the array `peer_list`.
        allow_plain: Whether an entry may say `"plain_http": true`.

    Raises:
        PeerListError: It is no JSON array, or over `MAX_LIST_BYTES`.
    """
    if len(body) > MAX_LIST_BYTES:
        raise PeerListError(f"list of peers has more than {MAX_LIST_BYTES} bytes")
    try:
        entries = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise PeerListError("list of peers is no JSON") from exc
    if isinstance(entries, dict):
        entries = entries.get("peer_list")
    if not isinstance(entries, list):
        raise PeerListError("list of peers is no JSON array")
    peers: dict[str, Peer] = {}
    refused = []
    for index, entry in enumerate(entries[:MAX_PEERS]):
        try:
            peer = _parse_entry(entry, allow_plain=allow_plain)
            if peer.name in peers:
                raise PeerEntryError(f"{peer.name} stands twice in the list")
            peers[peer.name] = peer
        except BuildernetError as exc:
            refused.append(f"entry {index}: {exc}")
    if len(entries) > MAX_PEERS:  # a list that is refused whole would shut out every new node
        refused.append(f"entries {MAX_PEERS} to {len(entries) - 1}: over {MAX_PEERS} are not taken")
    return PeerList(tuple(peers.values()), tuple(refused))


# Any: JSON as it came, checked here.
def _parse_entry(entry: Any, *, allow_plain: bool) -> Peer:
    if not isinstance(entry, dict):
        raise PeerEntryError("not a JSON object")
    name = entry.get("name")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise PeerEntryError("name is not 1 to 128 printable characters without spaces")
    if name.lower() in RESERVED_NAMES:
        raise PeerEntryError(f"{name} is no name for a node")
    proxy, instance = _service(entry, "orderflow_proxy"), _service(entry, "instance")
    place = _text(entry, "dns_name") or _text(entry, "ip") or _text(entry, "ip_address")
    host, port = _parse_place(place, name=name)
    pinned = (
        _text(instance, "tls_cert"), _text(proxy, "tls_cert"), _text(entry, "tls_certificate"),
    )  # fmt: skip
    certificates = "\n".join(filter(None, pinned))
    is_plain = entry.get("plain_http") is True
    if is_plain and not allow_plain:
        raise PeerEntryError(f"{name} wants plain HTTP, which only a file of static peers may say")
    address = _text(proxy, "ecdsa_pubkey_address") or _text(entry, "ecdsa_pubkey_address")
    try:
        if certificates:
            PinnedPeer(certificates)
        signer = Address.parse(address) if address else None
    except (PinError, AddressFormatError) as exc:
        raise PeerEntryError(f"{name}: {exc}") from exc
    return Peer(
        name=name,
        host=host,
        port=port,
        certificates=certificates,
        address=signer,
        is_plain=is_plain,
        evidence=entry if "tee_attestation" in entry else None,
    )


def _service(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = entry.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PeerEntryError(f"{name} is no JSON object")
    return value


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise PeerEntryError(f"{name} is no text")
    return value.strip()


def _parse_place(text: str, *, name: str) -> tuple[str, int]:
    """Return host and port of `1.2.3.4`, `1.2.3.4:99`, `::1`, `[::1]:99`, `name` or `name:99`."""
    for candidate in (text, text[1:-1] if text[:1] == "[" and text[-1:] == "]" else ""):
        try:
            return str(ipaddress.ip_address(candidate)), SYSTEM_PORT
        except ValueError:
            continue
    host, port = text, SYSTEM_PORT
    if (match := _HOST_PORT.fullmatch(text)) is not None:
        host, port = match[1], int(match[2])
        if host[:1] == "[" and host[-1:] == "]":
            host = host[1:-1]
            if ":" not in host:
                raise PeerEntryError(f"{name}: {json.dumps(text[:80])} is no address")
    is_address = ":" in host
    try:
        if is_address:
            host = str(ipaddress.ip_address(host))
    except ValueError:
        host = ""
    if (
        not 0 < port <= _MAX_PORT
        or (not is_address and HOST_NAME.fullmatch(host) is None)
        or not host
    ):
        raise PeerEntryError(f"{name}: {json.dumps(text[:80])} is no host name or address")
    return host, port
