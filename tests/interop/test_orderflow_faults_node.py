# SPDX-License-Identifier: MIT
"""A network of processes under load, while something befalls a node itself.

What is promised for each fault: docs/protocols/orderflow-delivery.md, "What is promised".
"""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.network import Network
from tests.support.network_node import NetworkNode
from tests.support.orderflow_accounts import (
    require_at_builder,
    require_counted,
    require_everything,
    require_in_archive,
)
from tests.support.orderflow_load import Load, under_load, until
from tests.support.program import client_context
from tests.support.small_disk import fill, small_disk

pytestmark = pytest.mark.interop

MAX_GROWTH_BYTES = 64 << 20
"""Of a node's memory during one test: the queues of a few hundred orders are a few MiB."""

MAX_FRESH_BYTES = 160 << 20
"""Of a node that has just recovered: a fresh one has 70 MiB."""

IN_HAND = 64
"""Orders between a user's answer and the builder's, when a node is killed at 150 a second."""

DISK_BYTES = 64 << 20
"""Of the small disk: users are refused below 32 MiB of free space."""


async def test_killed_proxy_owes_the_archive_nothing(whole: Network) -> None:
    first, _ = whole.nodes
    async with under_load(whole) as load:
        await asyncio.to_thread(whole.archive.program.kill)
        await load.more()
        assert first.count("archive_spool_records") > 0
        first.proxy.kill()
        await until(lambda: len(load.unanswered) > 0, "users miss it")
        await asyncio.to_thread(first.proxy.start)
        again = len(load.acknowledged) + 60
        await until(lambda: len(load.acknowledged) >= again, "users are served again")
        await asyncio.to_thread(whole.archive.program.start)
    assert not load.refused
    await require_in_archive(load, others=frozenset(load.unanswered))
    assert first.count("archive_spool_lost_bytes") == 0
    await until(lambda: first.count("delivery_waiting") == 0, "all is delivered")
    assert len(load.acknowledged - set(first.taken())) <= IN_HAND
    assert first.proxy.rss() < MAX_FRESH_BYTES


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    with small_disk(tmp_path / "disk", size=DISK_BYTES) as disk:
        yield disk


async def test_full_disk_is_told_to_users_and_takes_no_order(whole: Network, disk: Path) -> None:
    first, second = whole.nodes
    with first.proxy.restarted(f"--archive-spool-dir={disk}/spool"):
        await until(whole.is_whole, "the node is back")
        async with under_load(whole) as load:
            fill(disk / "filler")
            await until(lambda: load.refused.total() > 0, "users are told")
            assert first.readiness() == 503
            await load.more()
            accepted = len(load.acknowledged)
            from_peer = Load(whole, load.first, load.session, 0)
            await from_peer.send(take_number(whole), to=1)
            await until(lambda: from_peer.acknowledged <= set(first.taken()), "peers' orders go on")
            assert len(load.acknowledged) == accepted
            (disk / "filler").unlink()
            await until(lambda: len(load.acknowledged) > accepted + 60, "users are served again")
        assert set(load.refused) == {"503 Disk full"}
        assert not load.unanswered
        for node in (first, second):
            await require_at_builder(load, node)
        await require_in_archive(load, others=frozenset(from_peer.acknowledged))
        await require_counted(load)
        assert first.count("archive_records_lost_total") == 0
        assert first.proxy.rss() < MAX_FRESH_BYTES


@pytest.fixture
def faketime() -> str:
    """The library that lies about the time."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        pytest.skip("needs libfaketime (apt: faketime)")
    return str(libraries[0])


@pytest.mark.slow
async def test_jumping_clock_costs_only_what_peers_miss(
    whole: Network, tmp_path: Path, faketime: str
) -> None:
    """Forward an hour, right again, back an hour; the monotonic clock is left alone."""
    first, second = whole.nodes
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    faked = {
        "LD_PRELOAD": faketime,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with first.proxy.restarted(**faked):
        await until(whole.is_whole, "the node is back")
        memory = first.proxy.rss()
        async with under_load(whole) as load:
            for offset in ("+3600", "-3600"):
                seen = count_clock_seen(first)
                clock.write_text(f"{offset}\n")
                await until(lambda then=seen: count_clock_seen(first) > then, "the jump is seen")  # type: ignore[misc]
                assert first.readiness() == 200
                clock.write_text("+0\n")
                goal = len(second.taken()) + 60
                await until(lambda goal=goal: len(second.taken()) > goal, "peer takes again")  # type: ignore[misc]
        assert not load.refused
        assert not load.unanswered
        await require_at_builder(load, first)
        await until(lambda: first.count("delivery_waiting") == 0, "all is settled")
        await until(lambda: second.count("delivery_waiting") == 0, "there too")
        # The peer's evidence seemed too old or from the future: nothing was queued for it then.
        assert first.count("peer_entries_refused_total", reason="stale") > 0
        queued = first.count("delivery_accepted_total", peer=second.name)
        dropped = first.count("delivery_dropped_total", peer=second.name)
        refused = first.count("delivery_dropped_total", peer=second.name, reason="refused")
        assert refused == 0, "a refusal for the time is no refusal of the order"
        missing = len(load.acknowledged - set(second.taken()))
        never_queued = len(load.acknowledged) - queued
        # What was under way when the peer was given up may have arrived.
        assert never_queued <= missing <= never_queued + dropped
        await require_in_archive(load)
        await require_counted(load)
        rows = sorted(whole.archived(load.first), key=lambda row: row["seq"])
        arrivals = [row["received_at"] for row in rows]
        assert arrivals == sorted(set(arrivals)), "times of arrival do not go on rising"
        assert arrivals[-1] - arrivals[0] > 3600 * 1_000_000, "the clock did not jump"
        assert first.proxy.rss() - memory < MAX_GROWTH_BYTES


async def test_certificates_rotated_under_load_cost_no_order(whole: Network) -> None:
    """Evidence follows the certificate: who connects anew believes it, and nothing else."""
    first, second = whole.nodes
    memory = first.proxy.rss()
    async with under_load(whole) as load:
        for node, other in ((first, second), (second, first)):
            await asyncio.to_thread(renew_certificate, node)
            await until(lambda one=node, by=other: is_attested(one, by), "evidence follows")  # type: ignore[misc]
            async with asyncio.timeout(20):
                while await shown_certificate(node) != ssl.PEM_cert_to_DER_cert(node.certificate):
                    await load.more(1)
            await load.more()
        # Connections stand through a rotation; a peer that restarts is connected to anew.
        await asyncio.to_thread(second.proxy.stop)
        await asyncio.to_thread(second.proxy.start)
        await load.more()
    await require_everything(load, once=False)
    assert [node.count("peers") for node in whole.nodes] == [1, 1]
    assert first.proxy.rss() - memory < MAX_GROWTH_BYTES


async def test_certificate_rotated_without_a_hub_is_believed_when_it_returns(
    whole: Network,
) -> None:
    first, second = whole.nodes
    async with under_load(whole) as load:
        whole.hub.service.kill()
        await asyncio.to_thread(renew_certificate, second)
        await load.more()
        assert not is_attested(second, first)
        assert (first.readiness(), first.count("peers")) == (200, 1)
        await asyncio.to_thread(whole.hub.service.start)
        await until(lambda: is_attested(second, first), "evidence follows")
        await asyncio.to_thread(second.proxy.stop)
        await asyncio.to_thread(second.proxy.start)
        await load.more()
    await require_everything(load, once=False)


def take_number(whole: Network) -> int:
    """Return the number of the next order."""
    whole.next_number += 1
    return whole.next_number - 1


def count_clock_seen(node: NetworkNode) -> int:
    """Batches refused for their time, and peers whose evidence is of another time.

    After a refusal no batch is tried for 10 s: a second jump within them shows in evidence alone.
    """
    stale = node.count("peer_entries_refused_total", reason="stale")
    return node.count("delivery_clock_refused_total") + stale


def renew_certificate(node: NetworkNode) -> None:
    """Let attested-proxy make a new key and certificate."""
    before = node.certificate
    node.attested.stop()
    node.attested.start()
    assert node.certificate != before


def is_attested(node: NetworkNode, by: NetworkNode) -> bool:
    """Whether another node is given evidence for the newest certificate of a node."""
    return bool(by.listed().get(node.name, {}).get("tls_certificate") == node.certificate)


async def shown_certificate(node: NetworkNode) -> bytes:
    _, writer = await asyncio.open_connection("127.0.0.1", node.ports["user"], ssl=client_context())
    try:
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
        return shown
    finally:
        writer.transport.abort()
