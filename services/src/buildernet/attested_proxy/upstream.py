# SPDX-License-Identifier: MIT
"""Where a proxy's requests go: a plain target, or a server whose end of the connection is judged.

Attested connections carry the HTTP version that both sides agreed on: a pool for HTTP/1.1, a
single connection for HTTP/2.
"""

import asyncio
import functools
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp.client_proto import ResponseHandler

from buildernet.attested_proxy.errors import UpstreamBackOffError, UpstreamError
from buildernet.attested_proxy.evidence import Peer
from buildernet.attested_proxy.metrics import HandshakeMetrics
from buildernet.attested_proxy.protocol_b import ALPN_HTTP2
from buildernet.attested_proxy.target import Target
from buildernet.base.errors import BuildernetError
from buildernet.net.exchange import Answer, Outgoing
from buildernet.net.http1_client import Http1Connection, Http1Pool
from buildernet.net.tls import TlsChannel

if TYPE_CHECKING:
    from buildernet.net.http2_client import Http2Client

FIRST_BACK_OFF_S: Final = 1.0
MAX_BACK_OFF_S: Final = 120.0
"""As the reference: a hub that comes back is found within two minutes."""

_CONNECT_TIMEOUT_S: Final = 10.0
"""For TCP, and ordinary TLS, to a target that is not attested."""

_log = logging.getLogger(__name__)


class Upstream(Protocol):
    """Takes requests."""

    def request(self, request: Outgoing) -> AbstractAsyncContextManager[Answer]:
        """Send a request; leaving the context ends what is left of the exchange."""

    async def close(self) -> None:
        """Close every connection."""


class Dial(Protocol):
    """Makes attested connections; `Dialler` does."""

    async def dial(self) -> tuple[TlsChannel, Peer]:
        """Connect and judge the server."""


class _SpeaksHttp2Error(Exception):
    """The server spoke HTTP/1.1 until now."""


class BackOff:
    """When the next attempt is due: after 1 s, doubling to 120 s, until one succeeds."""

    def __init__(self) -> None:
        self._delay_s = 0.0
        self._due = 0.0
        self._cause = ""

    def require_due(self) -> None:
        """Raise `UpstreamBackOffError` while the next attempt is not due."""
        left_s = self._due - asyncio.get_running_loop().time()
        if left_s > 0:
            raise UpstreamBackOffError(f"{self._cause}; next attempt in {left_s:.0f} s")

    def failed(self, cause: str) -> None:
        """Double the delay."""
        self._cause = cause
        self._delay_s = min(max(2 * self._delay_s, FIRST_BACK_OFF_S), MAX_BACK_OFF_S)
        self._due = asyncio.get_running_loop().time() + self._delay_s

    def succeeded(self) -> None:
        """Start over."""
        self._delay_s = self._due = 0.0


class PlainUpstream:
    """A target behind TCP, or behind ordinary TLS."""

    def __init__(
        self, target: Target, *, limit: int, idle_s: float, tls: ssl.SSLContext | None = None
    ) -> None:
        """Prepare a pool.

        Args:
            target: Where requests go.
            limit: Connections at once.
            idle_s: How long an idle one is kept.
            tls: Of a target with https.
        """
        self._target = target
        self._tls = tls
        self._pool = Http1Pool(self._connect, limit=limit, idle_s=idle_s)

    def request(self, request: Outgoing) -> AbstractAsyncContextManager[Answer]:
        """Send a request; leaving the context ends what is left of the exchange."""
        return self._pool.request(request)

    async def close(self) -> None:
        """Close what is idle."""
        self._pool.close()

    async def _connect(self) -> Http1Connection:
        loop = asyncio.get_running_loop()
        host, port = self._target.host, self._target.port
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                _, handler = await loop.create_connection(
                    functools.partial(ResponseHandler, loop), host, port, ssl=self._tls
                )
        except OSError as exc:  # TimeoutError and ssl.SSLError are some
            reason = "no answer" if isinstance(exc, TimeoutError) else exc.strerror or exc
            raise UpstreamError(f"target failed: {host}:{port}: {reason}") from exc
        return Http1Connection(handler)


class AttestedUpstream:
    """A server that proves itself on every connection, with back-off between failures."""

    def __init__(
        self, dialler: Dial, *, metrics: HandshakeMetrics, authority: str, limit: int, idle_s: float
    ) -> None:
        """Prepare to connect.

        Args:
            dialler: Makes the connections.
            metrics: Counts them.
            authority: Host and port that requests are for.
            limit: Connections at once.
            idle_s: How long an idle one is kept.
        """
        self._dialler = dialler
        self._metrics = metrics
        self._authority = authority
        self._idle_s = idle_s
        self._back_off = BackOff()
        self._pool = Http1Pool(self._open_http1, limit=limit, idle_s=idle_s)
        self._shared: Http2Client | None = None
        self._http2: bool | None = None  # what the last connection spoke; None before the first
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def request(self, request: Outgoing) -> AsyncIterator[Answer]:
        """Send a request; leaving the context ends what is left of the exchange.

        Raises:
            RequestError: The server cannot be reached or is refused.
            ExchangeError: It broke off or its answer is malformed.
        """
        while True:
            try:
                async with (await self._chosen()).request(request) as answer:
                    yield answer
                return
            except _SpeaksHttp2Error:  # raised by `_open_http1` alone, so nothing was sent yet
                continue

    async def close(self) -> None:
        """Close every idle connection."""
        self._pool.close()
        if self._shared is not None:
            await self._shared.close()

    async def _chosen(self) -> "Http1Pool | Http2Client":
        while self._http2 is not False:
            if self._shared is not None and self._shared.usable:
                return self._shared
            async with self._opening:  # one connection is enough for all who wait
                await self._first()
        return self._pool

    async def _first(self) -> None:
        """Open the connection that shows which version of HTTP the server speaks."""
        if self._http2 is False or (self._shared is not None and self._shared.usable):
            return
        channel, peer = await self._dial()
        if channel.protocol_id == ALPN_HTTP2:
            self._share(channel, peer)
        else:
            self._pool.add(self._own(channel, peer))
            self._http2 = False

    async def _open_http1(self) -> Http1Connection:
        channel, peer = await self._dial()
        if channel.protocol_id == ALPN_HTTP2:  # another server than last time
            self._share(channel, peer)
            raise _SpeaksHttp2Error
        return self._own(channel, peer)

    def _share(self, channel: TlsChannel, peer: Peer) -> None:
        # h2 takes a sixth of the start: only a connection that speaks it pays.
        from buildernet.net.http2_client import Http2Client

        self._shared = Http2Client(authority=self._authority, scheme="https", idle_s=self._idle_s)
        channel.start(self._shared, peer=peer, http2=True)
        self._http2 = True

    def _own(self, channel: TlsChannel, peer: Peer) -> Http1Connection:
        handler = ResponseHandler(asyncio.get_running_loop())
        channel.start(handler, peer=peer)
        return Http1Connection(handler)

    async def _dial(self) -> tuple[TlsChannel, Peer]:
        self._back_off.require_due()
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            channel, peer = await self._dialler.dial()
        except BuildernetError as exc:
            reason = getattr(exc, "reason", "evidence")
            self._metrics.refused.labels(reason).inc()
            self._back_off.failed(str(exc))
            _log.warning("server_refused reason=%s detail=%s", reason, exc)
            raise UpstreamError(str(exc)) from exc
        self._back_off.succeeded()
        self._metrics.verified.labels(peer.attestation_type or "none").inc()
        self._metrics.seconds.observe(loop.time() - started)
        return channel, peer
