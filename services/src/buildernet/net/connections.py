# SPDX-License-Identifier: MIT
"""Bounds what aiohttp leaves open: how many connections, and how long each may idle.

aiohttp has no limit for a client that opens a connection and sends its headers slowly, nor for one
that never reads its response. Both are the same thing: a connection outside any handler for too
long. The guard looks at every connection a few times per timeout and cuts those.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from buildernet.net.limits import ServerLimits
from buildernet.net.metrics import HttpMetrics

_SWEEPS_PER_TIMEOUT: Final = 4
"""A connection is cut at most a quarter of the timeout late."""


class _Refused(asyncio.Protocol):
    """Closes the connection before a byte is read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class ConnectionGuard:
    """Counts and times the connections of one server."""

    def __init__(self, limits: ServerLimits, metrics: HttpMetrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._busy: set[object] = set()
        self._idle_since: dict[object, float] = {}

    def accept(self, server: web.Server) -> asyncio.Protocol:
        """Return the protocol for a new connection: the server's, or one that refuses."""
        if len(server.connections) >= self._limits.max_connections:
            self._metrics.connections_refused.inc()
            return _Refused()
        return server()

    @contextmanager
    def handling(self, request: web.Request) -> Iterator[None]:
        """Mark the request's connection as being inside a handler."""
        connection = request.protocol
        self._busy.add(connection)
        try:
            yield
        finally:
            self._busy.discard(connection)
            self._idle_since[connection] = asyncio.get_running_loop().time()

    async def sweep(self, server: web.Server) -> None:
        """Cut connections that idle too long; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limits.idle_timeout_s / _SWEEPS_PER_TIMEOUT)
            now = loop.time()
            live = server.connections
            self._idle_since = {c: self._idle_since.get(c, now) for c in live}
            for connection in live:
                idle_s = now - self._idle_since[connection]
                transport = connection.transport
                if connection in self._busy or idle_s < self._limits.idle_timeout_s:
                    continue
                if transport is not None:
                    self._metrics.connections_expired.inc()
                    transport.abort()  # close() would wait for a peer that does not read
