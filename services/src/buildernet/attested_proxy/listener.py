# SPDX-License-Identifier: MIT
"""What stands between the listening socket and the HTTP server: handshakes, bounded.

Every connection is led by a task of its own under one deadline, so a peer that is slow, silent or
half-open costs one entry in a table until then and nobody else's time.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from buildernet.attested_proxy.config import Limits
from buildernet.attested_proxy.errors import AttestedTlsError
from buildernet.attested_proxy.evidence import Peer
from buildernet.attested_proxy.metrics import HandshakeMetrics
from buildernet.attested_proxy.protocol_b import ALPN_HTTP2
from buildernet.base.errors import BuildernetError
from buildernet.net.errors import TlsError
from buildernet.net.tls import TlsChannel

CLIENT_HELLO_TIMEOUT_S: Final = 10.0
"""An honest client sends it with its first packets."""

_log = logging.getLogger(__name__)

_TIMEOUT: Final = "timeout"
_LEFT: Final = "left"
_TLS: Final = "tls"
_OTHER: Final = "evidence"

MakeProtocol = Callable[[], asyncio.Protocol]


class Accept(Protocol):
    """Leads a connection to a judged peer; `Acceptor` does."""

    async def accept(self, channel: TlsChannel) -> Peer:
        """Finish the handshake."""


class AttestedListener:
    """Makes the protocol of every new connection."""

    def __init__(self, acceptor: Accept, *, limits: Limits, metrics: HandshakeMetrics) -> None:
        self._acceptor = acceptor
        self._limits = limits
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()
        self._per_address: Counter[str] = Counter()

    def front(self, make_protocol: MakeProtocol) -> asyncio.Protocol:
        """Return the protocol of a TCP connection that ends in an HTTP one.

        Args:
            make_protocol: Makes the HTTP server's protocol, once the peer is judged.
        """
        return _Counted(self, make_protocol)

    def admit(self, channel: "_Counted", make_protocol: MakeProtocol) -> None:
        """Start a connection's handshake, or cut it when too many are open."""
        address = channel.peer_address
        if len(self._tasks) >= self._limits.max_handshakes:
            self._refuse(channel, "too_many_handshakes")
        elif self._per_address[address] >= self._limits.max_connections_per_address:
            self._refuse(channel, "too_many_from_address")
        else:
            self._per_address[address] += 1
            channel.counted = True
            channel.task = self._spawn(self._lead(channel, make_protocol))

    def release(self, channel: "_Counted") -> None:
        """Forget a connection that is gone; evidence that it waited for need not be made."""
        if channel.task is not None and not channel.task.done():
            self._metrics.refused.labels(_LEFT).inc()
            channel.task.cancel()
        if channel.counted:
            channel.counted = False
            self._per_address[channel.peer_address] -= 1
            if not self._per_address[channel.peer_address]:
                del self._per_address[channel.peer_address]

    async def close(self) -> None:
        """Cut what is not through its handshake."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _lead(self, channel: TlsChannel, make_protocol: MakeProtocol) -> None:
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._limits.handshake_timeout_s):
                async with asyncio.timeout(CLIENT_HELLO_TIMEOUT_S):
                    await channel.read_client_hello()
                peer = await self._acceptor.accept(channel)
        except TimeoutError:
            self._refuse(channel, _TIMEOUT)
        except BuildernetError as exc:
            self._refuse(channel, _reason(exc), detail=exc)
        except BaseException:
            channel.abort()
            raise
        else:
            self._metrics.verified.labels(peer.attestation_type or "none").inc()
            self._metrics.seconds.observe(asyncio.get_running_loop().time() - started)
            _log.debug("peer_accepted address=%s type=%s", peer.address, peer.attestation_type)
            http2 = channel.protocol_id == ALPN_HTTP2
            channel.start(make_protocol(), peer=peer, http2=http2)

    def _refuse(
        self, channel: TlsChannel, reason: str, *, detail: BuildernetError | None = None
    ) -> None:
        self._metrics.refused.labels(reason).inc()
        _log.info(
            "peer_refused address=%s reason=%s detail=%s",
            channel.peer_address,
            reason,
            detail or "-",
        )
        channel.refuse()

    # Any: what a coroutine yields to the loop and is sent is nobody's business here.
    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        self._metrics.open_handshakes.set(len(self._tasks))
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._metrics.open_handshakes.set(len(self._tasks))
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("handshake_failed", exc_info=error)


class _Counted(TlsChannel):
    """A channel that tells its listener when it comes and goes."""

    def __init__(self, listener: AttestedListener, make_protocol: MakeProtocol) -> None:
        super().__init__(on_connected=lambda _: listener.admit(self, make_protocol))
        self._listener = listener
        self.counted = False
        self.task: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it out."""
        self._listener.release(self)
        super().connection_lost(exc)


def _reason(error: BuildernetError) -> str:
    if isinstance(error, AttestedTlsError):
        return error.reason
    return _TLS if isinstance(error, TlsError) else _OTHER
