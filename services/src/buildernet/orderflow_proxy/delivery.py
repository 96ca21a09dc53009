# SPDX-License-Identifier: MIT
"""Takes orders to the local builder and, when a user sent them, to every peer: one hop.

`delivering` opens everything, keeps it going (chain head, hub, builder's readiness) and ends it.
What is promised about an order stands in docs/protocols/orderflow-delivery.md.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from prometheus_client import CollectorRegistry

from buildernet.base.background import keeping
from buildernet.base.bounded_file import read_file
from buildernet.base.errors import BuildernetError, ConfigError
from buildernet.ethereum.address import Address
from buildernet.ethereum.signature import SigningKey
from buildernet.orderflow_proxy.builder import BlockNumbers, Builder
from buildernet.orderflow_proxy.hub import (
    REFRESH_S,
    Credentials,
    HubClient,
    PeerListKind,
    Registrar,
)
from buildernet.orderflow_proxy.order import Order, OrderSource
from buildernet.orderflow_proxy.peer import MAX_LIST_BYTES, Peer, PeerList, parse_peers
from buildernet.orderflow_proxy.peers import PeerSet, VerifyPeer, believe_hub
from buildernet.orderflow_proxy.sending.forms import BatchEncoder
from buildernet.orderflow_proxy.sending.head import ChainHead
from buildernet.orderflow_proxy.sending.link import Link
from buildernet.orderflow_proxy.sending.metrics import ENTRY, DeliveryMetrics
from buildernet.orderflow_proxy.sending.parcel import pack

DRAIN_S: Final = 3.0
"""What waiting orders get when the proxy stops: enough for peers that answer, below the 10 s that
stopping may take."""

_DRAIN_STEP_S: Final = 0.02
_SOONEST_REFRESH_S: Final = 2.0
"""Of a list that a peer's certificate shows to be old: not more often, or one peer drives us."""

_REGISTRATION_S: Final = 5.0
"""So long the list waits for the registration, which is tried until it succeeds."""

_WATCH_S: Final = 1.0
"""A new certificate is registered that soon: peers refuse it until the hub names it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Where everything is."""

    builder_endpoint: str = ""
    """http URL of the builder's JSON-RPC; empty: orders go to peers alone."""
    builder_ready_endpoint: str = ""
    """http URL that answers 200 when the builder is ready; empty: it is when it can be reached."""
    rpc_endpoint: str = ""
    """http URL that answers `eth_blockNumber`; empty: orders expire by the clock."""
    hub_endpoint: str = ""
    """The hub, through the attested client; empty: only static peers."""
    static_peers: Path | None = None
    """JSON file in the hub's format, used instead of the hub: for development."""
    listed: PeerListKind = PeerListKind.INSTANCE
    """Which of the hub's lists. With `INTERNAL` nothing is registered: a sender outside the TEE."""
    update_interval_s: float = REFRESH_S
    """Between two fetches of the list."""
    node_name: str = ""
    """This node's name at the hub: its own entry is skipped by name as well as by address."""
    forward: bool = True
    """Whether users' orders go to peers."""
    connections_per_peer: int = 10
    """Most connections to one peer."""
    flashbots_signer: Address | None = None
    """Who may send to the system side besides peers."""
    certificate_file: Path | None = None
    """The node's TLS certificate, registered at the hub each time it changes."""
    certificate_key_file: Path | None = None
    """Its key, by which the hub is shown that it is ours."""


class NodeDelivery:
    """The `Delivery` of a node."""

    def __init__(
        self,
        *,
        key: SigningKey,
        builder: Builder | None,
        peers: PeerSet,
        head: ChainHead,
        forward: bool = True,
    ) -> None:
        """Join the parts.

        Args:
            key: Signs what goes out.
            builder: Gets every order; None: there is none here.
            peers: Get what users send.
            head: The chain's.
            forward: Whether they do.
        """
        self._forward = forward
        self._key = key
        self._builder = builder
        self._peers = peers
        self._head = head

    def submit(self, order: Order) -> None:
        """Queue the order, for the builder first; returns at once.

        Raises:
            DeliveryFullError: The builder's queue is full. Nothing was queued anywhere.
        """
        if self._builder is not None:
            self._builder.require_room(order)
        now_s = asyncio.get_running_loop().time()
        head = self._head
        parcel = pack(order, key=self._key, now_s=now_s, head=head.fresh(), last_head=head.number())
        if self._builder is not None:
            self._builder.put(parcel)
        if order.source is OrderSource.USER and self._forward:
            for link in self._peers.links.values():
                link.put(parcel)

    def check_ready(self) -> None:
        """Look whether orders would reach the builder.

        Raises:
            NotReadyError: The builder does not answer or is not ready.
        """
        if self._builder is not None:
            self._builder.check_ready()


@dataclass(frozen=True, slots=True)
class Running:
    """What `delivering` gives."""

    delivery: NodeDelivery
    peers: PeerSet
    head: ChainHead
    refresh: Callable[[], None]
    """Asks for a new list of peers soon."""
    looked: asyncio.Event
    """Set when the first list was taken, or could not be had; at once where none is fetched."""


@asynccontextmanager
async def delivering(
    settings: DeliverySettings,
    *,
    key: SigningKey,
    registry: CollectorRegistry,
    verify: VerifyPeer = believe_hub,
) -> AsyncIterator[Running]:
    """Deliver while the context is open; leaving it gives waiting orders `DRAIN_S`.

    Args:
        settings: Where everything is.
        key: This node's.
        registry: Gets the metrics.
        verify: Judges the peers of the hub's list; those of a file are taken as they are.

    Raises:
        ConfigError: An endpoint is no http URL, or the file of static peers cannot be used.
    """
    head, metrics = ChainHead(), DeliveryMetrics(registry)
    wake, looked = asyncio.Event(), asyncio.Event()
    builder = None
    if settings.builder_endpoint:
        builder = Builder(settings.builder_endpoint, head=head, metrics=metrics)
    peers = PeerSet(
        own=key.address,
        own_name=settings.node_name,
        flashbots=settings.flashbots_signer,
        encoder=BatchEncoder(key),
        head=head,
        metrics=metrics,
        connections=settings.connections_per_peer,
        on_pin_mismatch=wake.set,
        verify=verify if settings.static_peers is None else believe_hub,
    )
    if settings.static_peers is not None:
        await peers.apply(load_static_peers(settings.static_peers))

    def links() -> tuple[Link, ...]:
        return (*([] if builder is None else [builder.link]), *peers.links.values())

    def sweep() -> None:
        for link in links():
            link.sweep()

    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        endpoint = settings.rpc_endpoint
        fetch = BlockNumbers(session, endpoint).fetch if endpoint else None
        jobs: list[Coroutine[None, None, None]] = [head.follow(fetch, on_block=sweep)]
        if builder is not None:
            jobs.append(builder.follow(session, settings.builder_ready_endpoint))
        if settings.hub_endpoint and settings.static_peers is None:
            jobs.append(_follow_hub(session, settings, key, peers, metrics, wake, looked))
            if settings.certificate_file is not None:
                jobs.append(watch_file(settings.certificate_file, wake.set))
        else:
            looked.set()
        delivery = NodeDelivery(
            key=key, builder=builder, peers=peers, head=head, forward=settings.forward
        )
        try:
            async with keeping(jobs):
                try:
                    yield Running(delivery, peers, head, wake.set, looked)
                finally:
                    await drain(links())
        finally:
            await peers.close()
            if builder is not None:
                await builder.link.close()


def _follow_hub(
    session: aiohttp.ClientSession,
    settings: DeliverySettings,
    key: SigningKey,
    peers: PeerSet,
    metrics: DeliveryMetrics,
    wake: asyncio.Event,
    looked: asyncio.Event,
) -> Coroutine[None, None, None]:
    hub = HubClient(session, settings.hub_endpoint, listed=settings.listed)
    registrar = None
    if settings.listed is not PeerListKind.INTERNAL:
        registrar = Registrar(
            hub,
            Credentials(key, settings.certificate_file, settings.certificate_key_file),
            on_error=metrics.hub_errors.inc,
        )
    return follow_peers(
        hub.fetch_peers,
        peers,
        metrics,
        wake,
        looked,
        registrar=registrar,
        every_s=settings.update_interval_s,
    )


async def follow_peers(
    fetch: Callable[[], Awaitable[PeerList]],
    peers: PeerSet,
    metrics: DeliveryMetrics,
    wake: asyncio.Event,
    looked: asyncio.Event,
    *,
    registrar: Registrar | None = None,
    every_s: float = REFRESH_S,
) -> None:
    """Keep the list of peers fresh; runs until cancelled.

    A failed fetch keeps the last list, as long as the evidence in it is young enough.

    Args:
        fetch: One attempt.
        peers: Get what it says.
        metrics: Count failures.
        wake: Set to fetch before the time.
        looked: Set here after the first attempt, whatever it gave.
        registrar: Keeps this node registered; None for a sender that registers nothing.
        every_s: Between two fetches.
    """
    async with asyncio.TaskGroup() as group:
        registration: asyncio.Task[None] | None = None
        while True:
            if registrar is not None and (registration is None or registration.done()):
                registration = group.create_task(registrar.register())
            if registration is not None:
                await asyncio.wait({registration}, timeout=_REGISTRATION_S)
            wake.clear()
            try:
                listed = await fetch()
            except BuildernetError as exc:
                metrics.hub_errors.inc()
                _log.warning("peers_not_refreshed reason=%s", exc)
                await peers.review()
            else:
                for reason in listed.refused:
                    metrics.peers_refused.labels(ENTRY).inc()
                    _log.warning("peer_entry_refused %s", reason)
                found_self = await peers.apply(listed.peers)
                if registrar is not None and listed.peers and not found_self:
                    registrar.forget()
            looked.set()
            await asyncio.sleep(min(_SOONEST_REFRESH_S, every_s))
            with suppress(TimeoutError):
                async with asyncio.timeout(max(every_s - _SOONEST_REFRESH_S, 0)):
                    await wake.wait()


async def watch_file(path: Path, on_change: Callable[[], None]) -> None:
    """Look each second whether a file was replaced; runs until cancelled."""
    before = _stamp(path)
    while True:
        await asyncio.sleep(_WATCH_S)
        if (now := _stamp(path)) != before:
            before = now
            on_change()


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


async def drain(links: Iterable[Link]) -> None:
    """Wait until nothing waits any more, at most `DRAIN_S`."""
    waiting = tuple(links)
    loop = asyncio.get_running_loop()
    end_s = loop.time() + DRAIN_S
    # Many queues have no single event.
    while loop.time() < end_s and not all(link.is_empty for link in waiting):  # noqa: ASYNC110
        await asyncio.sleep(_DRAIN_STEP_S)


def load_static_peers(path: Path) -> tuple[Peer, ...]:
    """Read a file of peers in the hub's format; entries may say `"plain_http": true`.

    Raises:
        ConfigError: It cannot be read, or an entry of it cannot be used.
    """
    try:
        listed = parse_peers(read_file(path, limit=MAX_LIST_BYTES), allow_plain=True)
    except BuildernetError as exc:
        raise ConfigError(f"cannot use {path}: {exc}") from exc
    if listed.refused:  # here a person can mend it
        raise ConfigError(f"cannot use {path}: {listed.refused[0]}")
    return listed.peers
