# SPDX-License-Identifier: MIT
"""What of a message's headers goes through a proxy, and what the proxy says itself.

Reference: RFC 9110 section 7.6.1 (hop-by-hop fields); specs/services.md sections 2.4 and 2.6.
"""

import json
from collections.abc import Mapping
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

from buildernet.attested_proxy.evidence import Peer
from buildernet.net.proxy_secret import HEADER

ATTESTATION_TYPE: Final = "X-Flashbots-Attestation-Type"
MEASUREMENT: Final = "X-Flashbots-Measurement"
FORWARDED_FOR: Final = "X-Forwarded-For"
REAL_IP: Final = "X-Real-IP"

_CONNECTION: Final = "Connection"
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Each side speaks its own connection; `Expect` is answered here, before the body is taken."""

_OURS: Final = frozenset({ATTESTATION_TYPE.lower(), MEASUREMENT.lower(), HEADER.lower()})
"""Only a proxy may say these; whoever sends them in is not believed."""

_NEVER: Final = _HOP_BY_HOP | _OURS


def forwardable(
    headers: "CIMultiDictProxy[str] | CIMultiDict[str]", *, drop: frozenset[str] = frozenset()
) -> "CIMultiDict[str]":
    """Return the end-to-end headers of a message, without any that only the proxy may set."""
    gone = _NEVER | drop
    if _CONNECTION in headers:
        lines = headers.getall(_CONNECTION)
        gone |= {token.strip().lower() for line in lines for token in line.split(",")}
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        lower = name.lower()
        # An underscore reads as a dash to some servers behind a proxy.
        if lower not in gone and ("_" not in lower or lower.replace("_", "-") not in _OURS):
            kept.add(name, value)
    return kept


def add_peer(headers: "CIMultiDict[str]", peer: Peer) -> None:
    """Say what is proved about the other end of the attested connection."""
    if peer.attestation_type is not None:
        headers[ATTESTATION_TYPE] = peer.attestation_type
    if peer.registers is not None:
        headers[MEASUREMENT] = render_registers(peer)


def add_secret(headers: "CIMultiDict[str]", secret: str) -> None:
    """Show the target that it is we who say the rest; without a secret nothing is added."""
    if secret:
        headers[HEADER] = secret


def add_sender(headers: "CIMultiDict[str]", address: str) -> None:
    """Append the TCP peer to `X-Forwarded-For` and name it in `X-Real-IP`."""
    earlier = ", ".join(headers.popall(FORWARDED_FOR, []))
    headers[FORWARDED_FOR] = f"{earlier}, {address}" if earlier else address
    headers[REAL_IP] = address


def render_registers(peer: Peer) -> str:
    """Return registers as the headers hold them: `{"0":"<hex>", ...}`, numbers as keys."""
    return json.dumps(numbered(peer), separators=(",", ":"))


def numbered(peer: Peer) -> Mapping[str, str]:
    """Return registers by number (0 MRTD, 1 to 4 RTMR0 to RTMR3, or PCR) as hex."""
    registers = peer.registers or {}
    ordered = sorted(registers.items(), key=lambda item: item[0].number)
    return {str(register.number): value.hex() for register, value in ordered}
