# SPDX-License-Identifier: MIT
"""Delivery to destinations that fail: every order is delivered or reported."""

import asyncio
import json
import ssl
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiohttp import web

from buildernet.base.errors import ConfigError
from buildernet.orderflow_proxy.delivery import load_static_peers
from buildernet.orderflow_proxy.order import (
    OrderKind,
    OrderPriority,
)
from buildernet.orderflow_proxy.sending import link as link_module
from buildernet.orderflow_proxy.sending import pool as pool_module
from buildernet.orderflow_proxy.sending.pool import PooledConnection, Target
from tests.support.orderflow_delivery import BUILDER, Ledger, deliver, entry, make_brisk, url
from tests.support.orderflow_nodes import (
    Node,
    make_certificate,
    make_order,
    running,
    silent,
    until,
)
from tests.support.program import free_port


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    make_brisk(monkeypatch)


def has_most(good: Node, builder: Node, number: int) -> bool:
    return min(len(good.numbers), len(builder.numbers)) > number - 500


def has_more(ledger: Ledger, number: int) -> bool:
    return ledger.delivered("peer") > number


async def test_silent_peer_costs_the_others_nothing_and_memory_is_bounded(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        port, accepted = await stack.enter_async_context(silent())
        builder = await stack.enter_async_context(running(Node()))
        good = await stack.enter_async_context(running(Node()))
        run, ledger, _ = await stack.enter_async_context(
            deliver(
                tmp_path,
                entry("silent", port),
                entry("good", good),
                builder_endpoint=url(builder),
            )
        )
        orders = 3000
        for number in range(orders):
            run.delivery.submit(make_order(number, priority=OrderPriority.LOW))
            if number % 100 == 99:
                await until(partial(has_most, good, builder, number))
        await until(lambda: len(good.numbers) == orders == len(builder.numbers))
        silent_link = run.peers.links["silent"]
        assert ledger.waiting("silent") == 2000  # what its lane of low priority holds
        assert silent_link.outbox.size_bytes < 16 << 20
        assert accepted[0] <= 10
        assert ledger.delivered("silent") == 0
        assert ledger.dropped("silent") == {"queue_full": orders - 2000}
        for peer in ("silent", "good", BUILDER):
            ledger.require_balance(peer)


async def test_dead_peer_gets_everything_when_it_is_back_before_the_block(tmp_path: Path) -> None:
    port = free_port()
    async with deliver(tmp_path, entry("peer", port)) as (run, ledger, _):
        for number in range(50):
            run.delivery.submit(make_order(number))
        await until(lambda: run.peers.links["peer"].reachable is False)
        async with running(Node(), port=port) as peer:
            await until(lambda: ledger.delivered("peer") == 50)
            assert sorted(peer.numbers) == list(range(50))
        assert ledger.dropped("peer") == {}


async def test_orders_for_a_dead_peer_are_dropped_once_their_block_has_passed(
    tmp_path: Path,
) -> None:
    head = {"number": 98}

    async def answer_number(_request: web.Request) -> web.Response:
        return web.json_response({"jsonrpc": "2.0", "id": 1, "result": hex(head["number"])})

    async with (
        running(Node(answer=answer_number)) as chain,
        deliver(tmp_path, entry("dead", free_port()), rpc_endpoint=url(chain)) as (run, ledger, _),
    ):
        await until(lambda: run.head.number() == 98)
        run.delivery.submit(make_order(1, target_block=99))
        run.delivery.submit(make_order(2, target_block=100))
        run.delivery.submit(make_order(3, target_block=None))  # the next: 99
        run.delivery.submit(make_order(4, kind=OrderKind.CANCELLATION, target_block=99))
        head["number"] = 99
        await until(lambda: ledger.dropped("dead") == {"expired": 2})
        head["number"] = 200
        await until(lambda: ledger.dropped("dead") == {"expired": 3})
        assert ledger.waiting("dead") == 1  # the cancellation
        ledger.require_balance("dead")


async def test_another_certificate_gets_nothing(tmp_path: Path) -> None:
    listed, shown = make_certificate("a"), make_certificate("a")
    async with running(Node(), certificate=shown) as impostor:
        async with deliver(tmp_path, entry("peer", impostor, listed)) as (run, ledger, _):
            run.delivery.submit(make_order(1))
            await until(lambda: run.peers.links["peer"].reachable is False)
            assert ledger.delivered("peer") == 0
        assert impostor.requests == 0


async def test_tls_1_2_is_refused(tmp_path: Path) -> None:
    certificate = make_certificate()
    context = certificate.server_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    node = Node()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", node.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        port = runner.addresses[0][1]
        async with deliver(tmp_path, entry("old", port, certificate)) as (run, _, _):
            run.delivery.submit(make_order(1))
            await until(lambda: run.peers.links["old"].reachable is False)
            assert node.requests == 0
    finally:
        await runner.cleanup()


async def test_connection_that_the_peer_closed_is_no_failure(tmp_path: Path) -> None:
    async def close_after_it(request: web.Request) -> None:
        asyncio.get_running_loop().call_later(0.01, request.transport.close)  # type: ignore[union-attr]

    async with (
        running(Node(answer=close_after_it)) as peer,
        deliver(tmp_path, entry("peer", peer)) as (run, ledger, _),
    ):
        for number in range(40):
            run.delivery.submit(make_order(number))
            await until(partial(has_more, ledger, number))
            await asyncio.sleep(0.0005 * number)  # meets the closing at every moment
        assert sorted(set(peer.numbers)) == list(range(40))
        assert ledger.dropped("peer") == {}


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_refusals_that_pass_are_tried_again(tmp_path: Path, status: int) -> None:
    times = [3]

    async def refuse(_request: web.Request) -> web.Response | None:
        times[0] -= 1
        return web.Response(status=status) if times[0] >= 0 else None

    async with (
        running(Node(answer=refuse)) as peer,
        deliver(tmp_path, entry("peer", peer)) as (run, ledger, _),
    ):
        run.delivery.submit(make_order(7))
        await until(lambda: ledger.delivered("peer") == 1)
        assert peer.numbers == [7]


async def test_refused_order_is_dropped_and_counted_and_does_not_spoil_its_batch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "buildernet.orderflow_proxy.sending.link")

    async def refuse_thirteen(request: web.Request) -> web.Response | None:
        body = await request.read()
        if b'"number": 13,' not in body:
            return None
        answer = {"success": False, "error": "entry 13 is bad", "timestamp": 0}
        return web.json_response(answer, status=400)

    async with (
        running(Node(answer=refuse_thirteen)) as peer,
        deliver(tmp_path, entry("peer", peer)) as (run, ledger, _),
    ):
        for number in range(40):
            run.delivery.submit(make_order(number))
        await until(lambda: ledger.waiting("peer") == 0)
        assert ledger.dropped("peer") == {"refused": 1}
        assert "order_refused peer=peer status=400 reason='entry 13 is bad'" in caplog.messages
        assert sorted(peer.numbers) == [n for n in range(40) if n != 13]
        ledger.require_balance("peer")


async def test_go_proxy_that_does_not_know_us_yet_is_tried_again(tmp_path: Path) -> None:
    times = [3]

    async def unknown(_request: web.Request) -> web.Response | None:
        times[0] -= 1
        error = {"code": -32000, "message": "unknown peers can't send to the public address"}
        body = {"jsonrpc": "2.0", "id": 0, "error": error}
        return web.json_response(body) if times[0] >= 0 else None

    async with (
        running(Node(answer=unknown, sharing=False)) as peer,
        deliver(tmp_path, entry("peer", peer)) as (run, ledger, _),
    ):
        run.delivery.submit(make_order(7))
        await until(lambda: ledger.delivered("peer") == 1)
        assert peer.numbers == [7]


async def test_peer_that_answers_nonsense_is_survived(tmp_path: Path) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"\x00\xffHTTP/9.9 what\r\n\r\n" * 10)
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    async with server, running(Node()) as good:
        port = server.sockets[0].getsockname()[1]
        async with deliver(tmp_path, entry("bad", port), entry("good", good)) as (run, ledger, _):
            for number in range(20):
                run.delivery.submit(make_order(number))
            await until(lambda: len(good.numbers) == 20)
            await until(lambda: run.peers.links["bad"].reachable is False)
            ledger.require_balance("bad")
            assert ledger.delivered("bad") == 0


@pytest.mark.parametrize(("padding", "fits"), [(9 << 20, True), (10 << 20, False)])
async def test_an_answer_may_be_as_large_as_the_protocol_says(
    tmp_path: Path, padding: int, fits: bool
) -> None:
    async def say_much(_request: web.Request) -> web.Response:
        answer = b'{"success":true,"error":null,"timestamp":0,"more":"%b"}'
        return web.Response(body=answer % (b"x" * padding), content_type="application/json")

    async with (
        running(Node(answer=say_much)) as peer,
        deliver(tmp_path, entry("peer", peer)) as (run, ledger, _),
    ):
        run.delivery.submit(make_order(1))
        link = run.peers.links["peer"]
        await until(lambda: link.reachable is False or ledger.delivered("peer") == 1)
        assert ledger.delivered("peer") == fits


async def test_timeout_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module.LinkTimes, "__init__", _short_times)
    held = [True]

    async def hold_once(_request: web.Request) -> None:
        if held[0]:
            held[0] = False
            await asyncio.sleep(60)

    async with (
        running(Node(answer=hold_once)) as peer,
        deliver(tmp_path, entry("peer", peer)) as (run, ledger, _),
    ):
        started = time.monotonic()
        run.delivery.submit(make_order(1))
        await until(lambda: ledger.delivered("peer") == 1)
        assert time.monotonic() - started >= 0.2
        assert peer.numbers == [1]


async def test_destination_that_no_resolver_takes_is_tried_with_delays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It made the resolver raise UnicodeError, and was tried without a pause."""
    attempts = [0]

    class Counted(PooledConnection):
        def __init__(self, **given: Any) -> None:
            attempts[0] += 1
            super().__init__(**given)

    monkeypatch.setattr(pool_module, "PooledConnection", Counted)
    monkeypatch.setattr(link_module, "compute_backoff", lambda _failures: 60.0)
    async with deliver(tmp_path, entry("peer", free_port())) as (run, ledger, _):
        link = run.peers.links["peer"]
        link.retarget(Target("a..b", 1, None), link.form)
        run.delivery.submit(make_order(1))
        await until(lambda: link.reachable is False)
        before = attempts[0]
        for _ in range(50):
            await asyncio.sleep(0)
        assert attempts[0] == before
        assert ledger.waiting("peer") == 1


def _short_times(self: link_module.LinkTimes) -> None:
    object.__setattr__(self, "connect_s", 1.0)
    object.__setattr__(self, "answer_s", 0.2)


def test_static_peers_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    file = tmp_path / "peers.json"
    file.write_text(json.dumps([{"name": "a", "ip": "not an address!"}]))
    with pytest.raises(ConfigError, match="no host name or address"):
        load_static_peers(file)


def test_order_that_comes_when_a_delay_is_all_but_over_is_queued_on_the_shipped_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below half a millisecond uvloop's timers have no `when`."""
    monkeypatch.setattr(link_module, "compute_backoff", lambda _failures: 0.0004)

    async def run() -> None:
        builder = f"http://127.0.0.1:{free_port()}"
        async with deliver(tmp_path, builder_endpoint=builder) as (running_, ledger, _):
            for number in range(300):
                running_.delivery.submit(make_order(number))
                await asyncio.sleep(0)
            assert ledger.waiting(BUILDER) == 300

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
