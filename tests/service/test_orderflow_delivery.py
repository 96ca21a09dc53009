# SPDX-License-Identifier: MIT
"""Delivery over real sockets: who gets which order, in which form and sequence."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from buildernet.orderflow_proxy import builder as builder_module
from buildernet.orderflow_proxy import delivery as delivery_module
from buildernet.orderflow_proxy.delivery import Running
from buildernet.orderflow_proxy.order import (
    DeliveryFullError,
    NotReadyError,
    OrderKind,
    OrderPriority,
    OrderSource,
)
from buildernet.orderflow_proxy.sending.pool import PooledConnection
from tests.support.orderflow_delivery import BUILDER, Ledger, deliver, entry, make_brisk, url
from tests.support.orderflow_nodes import (
    Node,
    make_certificate,
    make_order,
    running,
    until,
)
from tests.support.program import free_port


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    make_brisk(monkeypatch)


def is_settled(ledger: Ledger, peer: str) -> bool:
    return ledger.delivered(peer) == 1


async def test_order_reaches_builder_and_peers_signed_by_this_node(tmp_path: Path) -> None:
    certificate = make_certificate()
    async with AsyncExitStack() as stack:
        builder = await stack.enter_async_context(running(Node()))
        ours = await stack.enter_async_context(running(Node(), certificate=certificate))
        other = await stack.enter_async_context(
            running(Node(sharing=False), certificate=certificate)
        )
        run, ledger, key = await stack.enter_async_context(
            deliver(
                tmp_path,
                entry("ours", ours, certificate),
                entry("other", other, certificate),
                builder_endpoint=url(builder),
            )
        )
        run.delivery.submit(make_order(1))
        nodes = (builder, ours, other)
        await until(lambda: all(node.numbers == [1] for node in nodes), "all have it")
        assert [node.signers for node in nodes] == [{key.address}] * 3
        assert other.headers[0]["X-BuilderNet-Priority"] == "medium"
        for headers in (builder.headers[0], ours.batch_headers[0], other.headers[0]):
            assert int(headers["X-BuilderNet-SentAtUs"]) > 1_700_000_000_000_000
        for peer in (BUILDER, "ours", "other"):
            await until(partial(is_settled, ledger, peer), peer)
            ledger.require_balance(peer)


async def test_the_builder_is_written_to_first_and_holds_no_peer_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    send = PooledConnection.send

    def note(self: PooledConnection, request: bytes, **given: Any) -> None:
        written.append(self._transport.get_extra_info("peername")[1])  # type: ignore[union-attr]
        send(self, request, **given)

    monkeypatch.setattr(PooledConnection, "send", note)
    monkeypatch.setattr(builder_module, "CONNECTIONS", 1)
    held = asyncio.Event()

    async def hold(request: web.Request) -> None:
        if request.method == "POST":
            await held.wait()

    async with (
        running(Node(answer=hold)) as builder,
        running(Node()) as peer,
        deliver(tmp_path, entry("peer", peer), builder_endpoint=url(builder)) as (run, ledger, _),
    ):
        assert run.delivery._builder is not None
        for link in (run.delivery._builder.link, run.peers.links["peer"]):
            await until(partial(getattr, link, "reachable"))
        run.delivery.submit(make_order(1))
        assert written == [builder.port, peer.port]
        await until(lambda: ledger.delivered("peer") == 1)
        run.delivery.submit(make_order(2))  # the builder's only connection is busy
        await until(lambda: peer.numbers == [1, 2])
        assert builder.numbers == []
        held.set()
        await until(lambda: builder.numbers[-1:] == [2])


async def test_order_of_a_peer_goes_to_the_builder_alone(tmp_path: Path) -> None:
    async with (
        running(Node()) as builder,
        running(Node()) as peer,
        deliver(tmp_path, entry("peer", peer), builder_endpoint=url(builder)) as (run, ledger, _),
    ):
        run.delivery.submit(make_order(1, source=OrderSource.PEER))
        run.delivery.submit(make_order(2, source=OrderSource.FLASHBOTS))
        await until(lambda: builder.numbers == [1, 2])
        assert ledger.accepted("peer") == 0
        assert peer.numbers == []


async def test_batches_under_load_and_at_once_when_idle(tmp_path: Path) -> None:
    async with running(Node()) as peer, deliver(tmp_path, entry("peer", peer)) as (run, ledger, _):
        run.delivery.submit(make_order(0))
        await until(lambda: peer.numbers == [0])
        for number in range(1, 1001):
            run.delivery.submit(make_order(number))
        await until(lambda: ledger.delivered("peer") == 1001)
        assert peer.batches[0] == 1
        assert sorted(peer.numbers) == list(range(1001))
        assert peer.requests < 100
        assert max(peer.batches) == 64


async def test_large_order_travels_alone_as_json_rpc(tmp_path: Path) -> None:
    async with running(Node()) as peer, deliver(tmp_path, entry("peer", peer)) as (run, ledger, _):
        run.delivery.submit(make_order(1, size=1 << 20))
        await until(lambda: ledger.delivered("peer") == 1)
        assert len(peer.headers) == 1


async def test_newest_order_of_a_slot_wins_and_none_overtakes(tmp_path: Path) -> None:
    port = free_port()
    async with deliver(tmp_path, entry("peer", port)) as (run, ledger, _):
        for number in range(20):
            run.delivery.submit(make_order(number, uuid=1))
        run.delivery.submit(make_order(20, uuid=1, kind=OrderKind.CANCELLATION))
        async with running(Node(), port=port) as peer:
            await until(lambda: ledger.waiting("peer") == 0)
            assert peer.numbers[-1] == 20
        assert ledger.dropped("peer").get("superseded", 0) == 21 - len(peer.numbers)
        ledger.require_balance("peer")


async def test_cancellations_survive_a_flood(tmp_path: Path) -> None:
    port = free_port()
    async with deliver(tmp_path, entry("peer", port)) as (run, ledger, _):
        for number in range(3000):
            low = make_order(number, priority=OrderPriority.LOW)
            run.delivery.submit(low)
            if number % 3 == 0:
                cancel = replace(make_order(number + 10_000), kind=OrderKind.CANCELLATION)
                run.delivery.submit(cancel)
        async with running(Node(), port=port) as peer:
            await until(lambda: ledger.waiting("peer") == 0)
            cancelled = [number for number in peer.numbers if number >= 10_000]
            assert len(cancelled) == 1000
        assert set(ledger.dropped("peer")) == {"queue_full"}
        ledger.require_balance("peer")


async def test_full_builder_refuses_and_queues_nothing_anywhere(tmp_path: Path) -> None:
    port = free_port()
    async with (
        running(Node()) as peer,
        deliver(tmp_path, entry("peer", peer), builder_endpoint=f"http://127.0.0.1:{port}") as (
            run,
            ledger,
            _,
        ),
    ):
        for number in range(2000):
            run.delivery.submit(make_order(number, priority=OrderPriority.LOW))
        with pytest.raises(DeliveryFullError):
            run.delivery.submit(make_order(2000, priority=OrderPriority.LOW))
        assert ledger.accepted(BUILDER) == ledger.accepted("peer") == 2000
        cancellation = make_order(9, kind=OrderKind.CANCELLATION, priority=OrderPriority.LOW)
        run.delivery.submit(cancellation)  # has room of its own
        async with running(Node(), port=port) as builder:
            await until(lambda: ledger.delivered(BUILDER) == 2001)
            assert ledger.dropped(BUILDER) == {}
            assert len(builder.numbers) == 2001


async def test_readiness_follows_the_builder(tmp_path: Path) -> None:
    state = {"status": 503}

    async def ready(request: web.Request) -> web.Response | None:
        return web.Response(status=state["status"]) if request.path == "/readyz" else None

    def is_ready(run: Running) -> bool:
        try:
            run.delivery.check_ready()
        except NotReadyError:
            return False
        return True

    async with (
        running(Node(answer=ready)) as builder,
        deliver(tmp_path, builder_endpoint=url(builder), builder_ready_endpoint=url(builder)) as (
            run,
            _,
            _,
        ),
    ):
        await until(lambda: builder.requests > 0)
        assert not is_ready(run)
        state["status"] = 200
        await until(lambda: is_ready(run))
        state["status"] = 500
        await until(lambda: not is_ready(run))


async def test_readiness_without_an_endpoint_is_the_connection(tmp_path: Path) -> None:
    port = free_port()
    async with deliver(tmp_path, builder_endpoint=f"http://127.0.0.1:{port}") as (run, _, _):
        with pytest.raises(NotReadyError):
            run.delivery.check_ready()
        async with running(Node(), port=port):
            builder = run.delivery._builder
            assert builder is not None
            await until(lambda: builder.link.reachable is True)
            await until(lambda: not builder._answer)
            run.delivery.check_ready()


async def test_stopping_delivers_what_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "DRAIN_S", 10.0)
    async with running(Node()) as peer:
        async with deliver(tmp_path, entry("peer", peer)) as (run, ledger, _):
            for number in range(500):
                run.delivery.submit(make_order(number))
        assert sorted(peer.numbers) == list(range(500))
        assert ledger.waiting("peer") == 0
