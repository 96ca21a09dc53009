# SPDX-License-Identifier: MIT
"""The connections to one destination: opened when needed, kept, at most so many."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import Gauge

from buildernet.net.keepalive import KeepAliveConnection
from buildernet.net.pinning import PinnedPeer
from buildernet.orderflow_proxy.share import MAX_RESPONSE_BYTES

MAX_ANSWER_BYTES: Final = MAX_RESPONSE_BYTES
"""As the sharing protocol allows; ours have 100 bytes, and nothing is set aside for more."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where connections lead."""

    host: str
    port: int
    pinned: PinnedPeer | None
    """None for plain HTTP: the local builder, or a development peer."""


class PooledConnection(KeepAliveConnection):
    """A connection of a pool."""

    retired = False
    """Ends after the request it carries."""
    counted = False
    """In the metric of open connections."""


class Pool:
    """Opens and keeps connections; says when one is ready and when one cannot be had."""

    def __init__(
        self,
        target: Target,
        *,
        most: int,
        connect_s: float,
        gauge: Gauge,
        on_ready: Callable[[bool], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        """Open none yet.

        Args:
            target: Where to.
            most: Connections at once.
            connect_s: A connection must stand within so many seconds, TLS included.
            gauge: Shows how many are open.
            on_ready: Called when there may be a connection to use: True when a new one stands,
                False when one ended and another may be opened.
            on_failure: Called with the reason when one cannot be opened.
        """
        self._target = target
        self._most = most
        self._connect_s = connect_s
        self._gauge = gauge
        self._on_ready = on_ready
        self._on_failure = on_failure
        self._idle: list[PooledConnection] = []
        self._open: set[PooledConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._ended = False

    def __len__(self) -> int:
        """Return how many are open or being opened."""
        return len(self._open) + len(self._connecting)

    def take(self) -> PooledConnection | None:
        """Return an idle connection, or None."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    def give_back(self, connection: PooledConnection) -> None:
        """Take a connection back after its request, or end it if it is of no more use."""
        if connection.usable and not connection.retired and not self._ended:
            self._idle.append(connection)
        else:
            connection.close()

    def open_one(self) -> None:
        """Begin to open a connection if there may be one more."""
        if self._ended or len(self) >= self._most:
            return
        task = asyncio.get_running_loop().create_task(self._connect(self._target))
        self._connecting.add(task)
        task.add_done_callback(self._connected)

    def retarget(self, target: Target) -> None:
        """Lead elsewhere; what carries a request finishes it."""
        self._target = target
        idle, self._idle = self._idle, []
        for connection in self._open:
            connection.retired = True
        for connection in idle:
            connection.close()
        for task in self._connecting:
            task.cancel()

    async def close(self) -> None:
        """End every connection; running requests fail."""
        self._ended = True
        tasks = list(self._connecting)
        for task in tasks:
            task.cancel()
        for connection in list(self._open):
            connection.abort()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, target: Target) -> None:
        connection = PooledConnection(max_body_bytes=MAX_ANSWER_BYTES, on_lost=self._lost)
        pinned = target.pinned
        try:
            async with asyncio.timeout(self._connect_s):
                transport, _ = await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    target.host,
                    target.port,
                    ssl=None if pinned is None else pinned.context,
                )
            self._open.add(connection)
            if pinned is not None:
                pinned.verify(transport)
        except Exception as exc:  # whatever it is, the delay before the next attempt holds
            connection.abort()
            self._on_failure(exc)
            return
        self._gauge.inc()
        connection.counted = True
        self._idle.append(connection)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        if not self._ended:
            self._on_ready(bool(self._idle))

    def _lost(self, connection: KeepAliveConnection) -> None:
        if not isinstance(connection, PooledConnection):
            raise TypeError(connection)
        self._open.discard(connection)
        if connection.counted:
            self._gauge.dec()
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._on_ready, False)
