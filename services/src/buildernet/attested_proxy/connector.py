# SPDX-License-Identifier: MIT
"""Gives aiohttp's client connections whose other end is judged, with back-off between failures."""

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler

from buildernet.attested_proxy.errors import UpstreamBackOffError, UpstreamError
from buildernet.attested_proxy.evidence import Peer
from buildernet.attested_proxy.metrics import HandshakeMetrics
from buildernet.base.errors import BuildernetError
from buildernet.net.tls import TlsChannel

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

FIRST_BACK_OFF_S: Final = 1.0
MAX_BACK_OFF_S: Final = 120.0
"""As the reference: a hub that comes back is found within two minutes."""

_log = logging.getLogger(__name__)


class Dial(Protocol):
    """Makes attested connections; `Dialler` does."""

    async def dial(self) -> tuple[TlsChannel, Peer]:
        """Connect and judge the server."""


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


class AttestedResponse(aiohttp.ClientResponse):
    """Remembers who answered; a short answer's connection is back in the pool before one can ask.

    Its class goes to the client session as `response_class`.
    """

    peer = Peer()

    async def start(self, connection: "Connection") -> aiohttp.ClientResponse:
        """Take the peer of the connection before the answer is read from it."""
        transport = connection.transport
        peer = None if transport is None else transport.get_extra_info("peer")
        if isinstance(peer, Peer):
            self.peer = peer
        return await super().start(connection)


class AttestedConnector(aiohttp.BaseConnector):
    """Makes every connection of a client session an attested one to the same server."""

    def __init__(
        self, dialler: Dial, *, metrics: HandshakeMetrics, limit: int, keepalive_s: float
    ) -> None:
        """Prepare a pool.

        Args:
            dialler: Makes the connections.
            metrics: Counts them.
            limit: Open at once.
            keepalive_s: How long an idle one is kept.
        """
        super().__init__(limit=limit, limit_per_host=limit, keepalive_timeout=keepalive_s)
        self._dialler = dialler
        self._metrics = metrics
        self._back_off = BackOff()

    async def _create_connection(
        self,
        req: "ClientRequest",  # noqa: ARG002  # aiohttp's hook for connectors
        traces: "list[Trace]",  # noqa: ARG002
        timeout: "ClientTimeout",  # noqa: ARG002, ASYNC109
    ) -> ResponseHandler:
        self._back_off.require_due()
        started = asyncio.get_running_loop().time()
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
        self._metrics.seconds.observe(asyncio.get_running_loop().time() - started)
        protocol = self._factory()
        channel.start(protocol, peer=peer)
        return protocol
