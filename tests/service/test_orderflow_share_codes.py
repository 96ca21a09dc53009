# SPDX-License-Identifier: MIT
"""Refusals between two of our nodes: a full builder and clocks that differ cost no order."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from buildernet.orderflow_proxy import share
from buildernet.orderflow_proxy.delivery import DeliverySettings, delivering
from buildernet.orderflow_proxy.order import DeliveryFullError, Order
from buildernet.orderflow_proxy.sending import forms
from tests.support.orderflow_delivery import Ledger, make_brisk
from tests.support.orderflow_nodes import until, write_peers
from tests.support.orderflow_receiver import Neighbours, Receiver, bundle, receiving
from tests.support.orders import PEER

ORDERS = 40


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    make_brisk(monkeypatch)


@pytest.fixture
async def orders() -> list[Order]:
    """What users sent to a first node."""
    async with receiving() as first:
        for number in range(ORDERS):
            await first.call("eth_sendBundle", bundle(number))
        return first.neighbours.orders


def sending_to(receiver: Receiver, tmp_path: Path, registry: CollectorRegistry):
    place = receiver.system.removeprefix("http://")
    file = write_peers(tmp_path / "peers.json", [{"name": "peer", "ip": place, "plain_http": True}])
    return delivering(DeliverySettings(static_peers=file), key=PEER, registry=registry)


@dataclass(slots=True)
class OftenFull(Neighbours):
    """A builder whose queue has no room for every third order when it first comes."""

    tried: set[bytes] = field(default_factory=set)
    times: int = 0

    def submit(self, order: Order) -> None:
        if order.key not in self.tried:
            self.tried.add(order.key)
            if not len(self.tried) % 3:
                self.times += 1
                raise DeliveryFullError("in words that nobody reads")
        self.orders.append(order)


async def test_order_that_met_a_full_builder_is_sent_again(
    orders: list[Order], tmp_path: Path
) -> None:
    near, registry = OftenFull(), CollectorRegistry()
    async with (
        receiving(neighbours=near) as receiver,
        sending_to(receiver, tmp_path, registry) as running,
    ):
        for order in orders:
            running.delivery.submit(order)
        ledger = Ledger(registry)
        await until(lambda: ledger.delivered("peer") == ORDERS, "all are delivered")
        assert near.times == ORDERS // 3
        assert {order.key for order in near.orders} == {order.key for order in orders}
        assert ledger.dropped("peer") == {}


@pytest.mark.parametrize("ahead_s", [3600, -3600])
async def test_node_whose_clock_is_wrong_loses_no_order(
    orders: list[Order],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    ahead_s: int,
) -> None:
    wrong = [float(ahead_s)]
    monkeypatch.setattr(forms, "time", lambda: time.time() + wrong[0])
    monkeypatch.setattr(forms, "CLOCK_AGAIN_S", 0.2)
    registry = CollectorRegistry()
    async with (
        receiving() as receiver,
        sending_to(receiver, tmp_path, registry) as running,
    ):
        ledger, half = Ledger(registry), ORDERS // 2
        for order in orders[:half]:
            running.delivery.submit(order)
        await until(lambda: ledger.delivered("peer") == half, "by JSON-RPC")
        assert ledger.count("clock_refused_total", peer="peer") >= 1
        assert abs(ledger.count("clock_ahead_seconds", peer="peer") - ahead_s) <= 2
        said = [line for line in caplog.messages if line.startswith("clock_refused peer=peer")]
        assert len(said) == 1
        assert abs(int(said[0].partition("ahead_s=")[2].partition(":")[0]) - ahead_s) <= 2
        wrong[0] = 0.0
        await until(lambda: running.peers.links["peer"].form.max_orders > 1, "batches again")
        refused = ledger.count("clock_refused_total", peer="peer")
        for order in orders[half:]:
            running.delivery.submit(order)
        await until(lambda: ledger.delivered("peer") == ORDERS, "all are delivered")
        assert ledger.count("clock_refused_total", peer="peer") == refused
        assert abs(ledger.count("clock_ahead_seconds", peer="peer")) <= 2
        assert await receiver.metric("orderflow_proxy_share_orders_count") >= 1
        assert ledger.dropped("peer") == {}
    assert {order.key for order in receiver.neighbours.orders} == {order.key for order in orders}


async def test_receiver_says_which_clock_and_which_queue(orders: list[Order]) -> None:
    now = int(time.time())

    async def post(timestamp: int) -> dict[str, object]:
        entry = share.encode_entry(orders[0], now_s=now)
        body = share.encode_request([entry], key=PEER, target_block=0, timestamp=timestamp)
        answer = await receiver.post(body, key=None, path=share.PATH, system=True)
        return {"status": answer.status, "code": "", **answer.json}

    near = Neighbours(full=True)
    async with receiving(neighbours=near) as receiver:
        for shift in (-share.MAX_AGE_S - 60, share.MAX_SKEW_S + 60):
            answer = await post(now + shift)
            assert (answer["status"], answer["code"]) == (400, "clock")
            assert isinstance(answer["timestamp"], int)
            assert abs(answer["timestamp"] - now) <= 20
        answer = await post(now)
        assert (answer["status"], answer["code"]) == (503, "busy")
