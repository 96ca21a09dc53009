# SPDX-License-Identifier: MIT
"""One attested connection and at most one request on it."""

import asyncio
from dataclasses import dataclass
from typing import Final

import aiohttp
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry

from buildernet.attested_proxy.config import PeerPolicy
from buildernet.attested_proxy.dial import Dialler, WireProtocol
from buildernet.attested_proxy.errors import AttestedTlsError
from buildernet.attested_proxy.evidence import Peer, Workers
from buildernet.attested_proxy.judge import Judge
from buildernet.attested_proxy.metrics import HandshakeMetrics
from buildernet.attested_proxy.target import Target
from buildernet.attested_proxy.upstream import AttestedUpstream
from buildernet.attested_proxy.wiring import judging
from buildernet.base.errors import LimitError
from buildernet.net.errors import ExchangeError
from buildernet.net.exchange import Outgoing
from buildernet.net.tls import TlsChannel

MAX_RESPONSE_BYTES: Final = 64 << 20
"""A certificate has 1 KiB; files served by an attested-file-server are not much larger."""

HANDSHAKE_TIMEOUT_S: Final = 60.0
"""Quote at the server, collateral from the network here, one after the other."""

_REQUEST_TIMEOUT_S: Final = 60.0
_USER_AGENT: Final = "attested-get"


@dataclass(frozen=True, slots=True)
class Fetched:
    """Who answered, and what."""

    peer: Peer
    status: int
    body: bytes


async def inspect(target: Target, *, peers: PeerPolicy, protocol: WireProtocol) -> Peer:
    """Return what a server proves, without sending it a request.

    Raises:
        BuildernetError: It cannot be reached, or what it proves is not taken.
    """
    workers = Workers("evidence")
    try:
        async with judging(peers) as judge:
            dialler = _dialler(target, judge=judge, workers=workers, protocol=protocol)
            channel, peer = await dialler.dial()
            channel.close()
            return peer
    finally:
        workers.close()


async def fetch(target: Target, *, peers: PeerPolicy, protocol: WireProtocol) -> Fetched:
    """Get a path from a server that proves itself first.

    Raises:
        BuildernetError: It cannot be reached, what it proves is not taken, or its answer is broken
            or larger than `MAX_RESPONSE_BYTES`.
    """
    workers = Workers("evidence")
    try:
        async with judging(peers) as judge:
            dialler = _dialler(target, judge=judge, workers=workers, protocol=protocol)
            return await _get(dialler, target)
    finally:
        workers.close()


def _dialler(target: Target, *, judge: Judge, workers: Workers, protocol: WireProtocol) -> Dialler:
    return Dialler(
        target.host,
        target.port,
        judge=judge,
        issuer=None,
        workers=workers,
        protocol=protocol,
        timeout_s=HANDSHAKE_TIMEOUT_S,
    )


class _Made:
    """Hands out one connection, made before HTTP, so that its failure keeps its own words."""

    def __init__(self, channel: TlsChannel, peer: Peer) -> None:
        self._connection = (channel, peer)

    async def dial(self) -> tuple[TlsChannel, Peer]:
        return self._connection


async def _get(dialler: Dialler, target: Target) -> Fetched:
    made = await dialler.dial()
    upstream = AttestedUpstream(
        _Made(*made),
        metrics=HandshakeMetrics(CollectorRegistry()),
        authority=target.authority,
        limit=1,
        idle_s=_REQUEST_TIMEOUT_S,
    )
    headers = CIMultiDict({"Host": target.authority, "Accept": "*/*", "User-Agent": _USER_AGENT})
    request = Outgoing("GET", target.url.raw_path or "/", headers)
    body = bytearray()
    try:
        async with asyncio.timeout(_REQUEST_TIMEOUT_S), upstream.request(request) as answer:
            async for piece in answer.content.iter_any():
                body += piece
                if len(body) > MAX_RESPONSE_BYTES:
                    raise LimitError(f"answer is larger than {MAX_RESPONSE_BYTES} bytes")
            return Fetched(made[1], answer.status, bytes(body))
    except (aiohttp.ClientError, ExchangeError, TimeoutError) as exc:
        raise AttestedTlsError(f"request failed: {exc or type(exc).__name__}") from exc
    finally:
        await upstream.close()
