# SPDX-License-Identifier: MIT
"""Who calls the instance API: what the attested proxy says, and from whom that is believed.

The three headers are plain text that anyone could send. They count only on connections from the
addresses in `trusted_proxies`; from anywhere else a request with or without them is refused.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.base.errors import ConfigError
from buildernet.builder_hub.builders import Builder, find_active
from buildernet.builder_hub.errors import BadRequestError, InstanceRefusedError
from buildernet.builder_hub.measurement_store import list_active
from buildernet.builder_hub.measurements import Claim, Measurement, match_claim, parse_claim
from buildernet.builder_hub.names import parse_ip

ATTESTATION_TYPE: Final = "X-Flashbots-Attestation-Type"
MEASUREMENT: Final = "X-Flashbots-Measurement"
FORWARDED_FOR: Final = "X-Forwarded-For"

_PROXY_HEADERS: Final = (ATTESTATION_TYPE, MEASUREMENT, FORWARDED_FOR, "X-Real-IP", "Forwarded")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Caller:
    """A builder whose machine runs an image of the network."""

    builder: Builder
    measurement: Measurement


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read addresses or networks.

    Raises:
        ConfigError: One is neither, or takes every address.
    """
    networks = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as exc:
            raise ConfigError(f"trusted proxy {text[:80]!r} is no address or network") from exc
        if network.prefixlen == 0:
            raise ConfigError(
                f"trusted proxy {text} is everybody",
                hint="then anyone could write the headers that say who they are",
            )
        networks.append(network)
    return tuple(networks)


def require_proxy(request: web.Request, trusted: Sequence[Network]) -> None:
    """Raise unless a request comes from the attested proxy.

    Raises:
        InstanceRefusedError: It comes from elsewhere.
    """
    try:
        address = ipaddress.ip_address(parse_ip(request.remote))
    except BadRequestError as exc:
        raise InstanceRefusedError("the peer has no address") from exc
    if not any(address in network for network in trusted):
        raise InstanceRefusedError(f"{address} is no trusted proxy")


def is_forwarded(request: web.Request) -> bool:
    """Whether a request came through a proxy, which speaks for somebody else."""
    return any(name in request.headers for name in _PROXY_HEADERS)


def read_claim(request: web.Request) -> tuple[Claim, str]:
    """Return what the proxy says about the caller, and the caller's address.

    Raises:
        InstanceRefusedError: A header is missing, given twice, or malformed.
    """
    headers = request.headers
    for name in (ATTESTATION_TYPE, MEASUREMENT):
        if len(headers.getall(name, [])) != 1:
            raise InstanceRefusedError(f"{name} is not given once")
    claim = parse_claim(headers[ATTESTATION_TYPE], headers[MEASUREMENT])
    forwarded = headers.getall(FORWARDED_FOR, [""])
    try:
        address = parse_ip(forwarded[-1].rpartition(",")[2].strip(), FORWARDED_FOR)
    except BadRequestError as exc:
        raise InstanceRefusedError(exc.message) from exc
    return claim, address


async def identify(
    connection: AsyncConnection, claim: Claim, address: str, *, unsafe: bool, lock: bool = False
) -> Caller:
    """Return who calls.

    Args:
        connection: The transaction in which the caller is served.
        claim: What the proxy says about the caller's machine.
        address: Where the caller is.
        unsafe: Take types that no hardware vouches for.
        lock: Let nobody switch the builder off, or change it, until this transaction ends.

    Raises:
        InstanceRefusedError: No active measurement fits, or no active builder has the address.
    """
    builder = await find_active(connection, address, lock=lock)
    measurement = match_claim(await list_active(connection), claim, unsafe=unsafe)
    if builder is None:
        raise InstanceRefusedError(f"no active builder at {address}")
    return Caller(builder, measurement)
