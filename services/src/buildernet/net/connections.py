# SPDX-License-Identifier: MIT
"""Bounds what aiohttp leaves open: how many connections, and how long each may idle.

aiohttp has no limit for a client that opens a connection and sends its headers slowly, nor for one
that never reads its response. Both are the same thing: a connection outside any handler for too
long. The guard looks at every connection a few times per timeout and cuts those.
"""

import asyncio
from typing import Final

from aiohttp import web

from buildernet.net.limits import ServerLimits
from buildernet.net.metrics import HttpMetrics

_SWEEPS_PER_TIMEOUT: Final = 4
"""A connection is cut at most a quarter of the timeout late."""


class _Gate(asyncio.Protocol):
    """Decides about one new connection, before a byte of it is read."""

    def __init__(self, guard: "ConnectionGuard", server: web.Server) -> None:
        self._guard = guard
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._guard.refuses(self._server):
            transport.close()
            return
        protocol = self._http2() if transport.get_extra_info("http2") else self._server()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def _http2(self) -> asyncio.Protocol:
        # h2 takes a sixth of a service's start: only a connection that speaks it pays.
        from buildernet.net.http2_server import Http2ServerConnection

        timeout_s = self._guard.limits.idle_timeout_s
        return Http2ServerConnection(self._server, read_timeout_s=timeout_s)


class ConnectionGuard:
    """Counts and times the connections of one server."""

    def __init__(self, limits: ServerLimits, metrics: HttpMetrics) -> None:
        self.limits = limits
        self.metrics = metrics
        self._busy: dict[object, int] = {}
        self._idle_since: dict[object, float] = {}

    def accept(self, server: web.Server) -> asyncio.Protocol:
        """Return the protocol of a new connection: the server's, behind a check of the number."""
        return _Gate(self, server)

    def refuses(self, server: web.Server, before_tls: int = 0) -> bool:
        """Return whether one more connection is too many; counts it then.

        Args:
            server: Whose connections.
            before_tls: Further ones that are in their handshake.
        """
        is_full = len(server.connections) + before_tls >= self.limits.max_connections
        if is_full:
            self.metrics.connections_refused.inc()
        return is_full

    def enter(self, request: web.Request) -> object:
        """Mark the request's connection as being inside a handler; returns what `leave` takes."""
        # A stream of HTTP/2 stands in the place of its connection.
        connection: object = getattr(request.protocol, "connection", request.protocol)
        self._busy[connection] = self._busy.get(connection, 0) + 1
        return connection

    def leave(self, connection: object) -> None:
        """Take back what `enter` said; the connection idles from now on, unless others are in."""
        self._busy[connection] -= 1
        if not self._busy[connection]:
            del self._busy[connection]
        self._idle_since[connection] = asyncio.get_running_loop().time()

    async def sweep(self, server: web.Server) -> None:
        """Cut connections that idle too long; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.limits.idle_timeout_s / _SWEEPS_PER_TIMEOUT)
            now = loop.time()
            live = server.connections
            self._idle_since = {c: self._idle_since.get(c, now) for c in live}
            for connection in live:
                idle_s = now - self._idle_since[connection]
                transport = connection.transport
                if connection in self._busy or idle_s < self.limits.idle_timeout_s:
                    continue
                if transport is not None:
                    self.metrics.connections_expired.inc()
                    transport.abort()  # close() would wait for a peer that does not read
