# SPDX-License-Identifier: MIT
"""A network of processes under load, while what a node depends on is killed and comes back.

Nodes prove themselves to hub and peers (simulated TDX), and believe peers by their evidence alone.
Every order that a user was told is taken is found at both builders and once in the archive, or is
among what a promise leaves out (docs/protocols/orderflow-delivery.md, "What is promised").
"""

import asyncio

import pytest

from tests.support.network import Network
from tests.support.orderflow_accounts import (
    require_at_builder,
    require_counted,
    require_everything,
    require_in_archive,
)
from tests.support.orderflow_load import count_dropped, under_load, until

pytestmark = pytest.mark.interop

MAX_GROWTH_BYTES = 64 << 20
"""Of a node's memory during one test: the queues of a few hundred orders are a few MiB."""

IN_HAND = 128
"""Orders that a killed node had taken from a peer and not yet handed on: two batches."""


async def test_hub_killed_and_restarted_is_not_noticed_by_orders(whole: Network) -> None:
    first, second = whole.nodes
    memory, errors = first.proxy.rss(), first.count("confighub_errors_total")
    refused = count_refused_peers(whole)
    async with under_load(whole) as load:
        whole.hub.service.kill()
        await until(lambda: first.count("confighub_errors_total") > errors, "the hub is missed")
        await load.more()
        assert (first.readiness(), first.count("peers")) == (200, 1)
        await asyncio.to_thread(whole.hub.service.start)
        await until(lambda: second.name in first.listed(), "the hub passes evidence on again")
        await load.more()
    await require_everything(load)
    assert [node.count("peers") for node in whole.nodes] == [1, 1]
    assert count_refused_peers(whole) == refused
    assert first.proxy.rss() - memory < MAX_GROWTH_BYTES


def count_refused_peers(whole: Network) -> int:
    """Peers whose evidence was not believed, at each list."""
    return sum(node.count("peer_entries_refused_total") for node in whole.nodes)


async def test_postgresql_killed_and_restarted_stops_the_hub_alone(whole: Network) -> None:
    first, _ = whole.nodes
    errors = first.count("confighub_errors_total")
    async with under_load(whole) as load:
        whole.hub.postgres.kill()
        await until(lambda: whole.hub.readiness() == 503, "the hub says so")
        await until(lambda: first.count("confighub_errors_total") > errors, "the hub is missed")
        await load.more()
        assert (first.readiness(), first.count("peers")) == (200, 1)
        await asyncio.to_thread(whole.hub.postgres.start)
        await until(lambda: whole.hub.readiness() == 200, "the hub connects again by itself")
    await require_everything(load)


async def test_peer_killed_and_restarted_gets_what_waited(whole: Network) -> None:
    first, second = whole.nodes
    memory = first.proxy.rss()
    async with under_load(whole) as load:
        await asyncio.to_thread(second.proxy.kill)
        before = len(load.acknowledged)
        await load.more()
        await until(lambda: first.count("delivery_waiting", peer=second.name) > 0, "orders wait")
        assert first.readiness() == 200
        await asyncio.to_thread(second.proxy.start)
        await load.more()
    assert not load.refused
    assert not load.unanswered
    assert len(load.acknowledged) > before
    await require_at_builder(load, first)
    await until(lambda: first.count("delivery_waiting", peer=second.name) == 0, "none waits")
    assert count_dropped(whole) == load.dropped_before
    await until(lambda: second.count("delivery_waiting") == 0, "the second node is done")
    missing = load.acknowledged - set(second.taken())
    assert len(missing) <= IN_HAND
    await require_in_archive(load)
    await require_counted(load)
    assert first.proxy.rss() - memory < MAX_GROWTH_BYTES


async def test_builder_killed_and_restarted_gets_what_waited(whole: Network) -> None:
    first, second = whole.nodes
    memory = first.proxy.rss()
    async with under_load(whole) as load:
        first.builder.program.kill()
        await until(lambda: first.readiness() == 503, "the node says so")
        await load.more()
        known = set(load.acknowledged)
        await until(lambda: known <= set(second.taken()), "the other builder does not wait")
        assert known - set(first.taken())
        await asyncio.to_thread(first.builder.program.start)
        await until(lambda: first.readiness() == 200, "the node is ready again")
    # What the builder took when it died, it was asked to take again: no answer had come.
    await require_everything(load, once=False)
    assert first.proxy.rss() - memory < MAX_GROWTH_BYTES


async def test_archive_killed_and_restarted_has_each_order_once(whole: Network) -> None:
    first, _ = whole.nodes
    memory = first.proxy.rss()
    async with under_load(whole) as load:
        await asyncio.to_thread(whole.archive.program.kill)
        await load.more()
        assert first.count("archive_spool_records") > 0
        assert first.readiness() == 200
        await asyncio.to_thread(whole.archive.program.start)
    await require_everything(load)
    assert first.proxy.rss() - memory < MAX_GROWTH_BYTES
