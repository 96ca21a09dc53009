# SPDX-License-Identifier: MIT
"""What is recorded of an order, and when users are refused."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from buildernet.ethereum.address import Address
from buildernet.net.archive_stream import OrderRecord, ReceiptRecord, parse_record
from buildernet.orderflow_proxy import recorder as recorder_module
from buildernet.orderflow_proxy import spool_segment
from buildernet.orderflow_proxy.order import (
    ArchiveFullError,
    Order,
    OrderKind,
    OrderPriority,
    OrderSource,
    Replacement,
)
from buildernet.orderflow_proxy.recorder import ArchiveRecorder, SpoolThresholds, to_record
from buildernet.orderflow_proxy.spool import Spool, SpoolFullError


def make_order(*, source: OrderSource = OrderSource.USER, params: bytes = b"{}", number: int = 0):
    return Order(
        method="eth_sendBundle",
        kind=OrderKind.BUNDLE,
        params=params,
        key=b"k" * 16,
        hash=number.to_bytes(32),
        signer=Address(b"\x11" * 20),
        source=source,
        peer="user-request" if source is OrderSource.USER else "node-2",
        priority=OrderPriority.HIGH,
        target_block=21,
        replacement=Replacement(UUID(int=5), 7),
        received_at_us=1_790_000_000_000_000,
    )


class Bench:
    """A recorder over a spool in a folder."""

    def __init__(self, folder: Path, *, sync_interval_s: float = 0.01, min_free_bytes: int = 0):
        self.spool = Spool(folder, max_bytes=1 << 20)
        self.registry = CollectorRegistry()
        self.recorder = ArchiveRecorder(
            self.spool,
            folder=folder,
            thresholds=SpoolThresholds(
                reject_bytes=1000,
                resume_bytes=300,
                sync_interval_s=sync_interval_s,
                min_free_bytes=min_free_bytes,
            ),
            head=lambda: 20,
            registry=self.registry,
        )

    def value(self, name: str) -> float:
        value = self.registry.get_sample_value(f"orderflow_proxy_archive_{name}")
        assert value is not None
        return value

    async def until_refusing(self, state: int) -> None:
        async with asyncio.timeout(10):
            while self.value("refusing") != state:  # noqa: ASYNC110  (a gauge has no event)
                await asyncio.sleep(0)

    def acknowledge_all(self) -> int:
        count = 0
        while (batch := self.spool.read(max_records=1000, max_bytes=1 << 20)) is not None:
            self.spool.acknowledge(batch.end)
            count += len(batch.records)
        return count


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "spool")
    yield made
    made.recorder.close()


def test_a_users_order_is_recorded_whole(bench):
    bench.recorder.record(make_order(params=b'{"txs":[]}'))
    batch = bench.spool.read(max_records=1, max_bytes=1000)
    assert batch is not None
    record = parse_record(batch.records[0])
    assert isinstance(record, OrderRecord)
    assert record.params == b'{"txs":[]}'
    assert (record.target_block, record.head_block) == (21, 20)
    assert (record.replacement_uuid, record.replacement_nonce) == (UUID(int=5).bytes, 7)


@pytest.mark.parametrize("source", [OrderSource.PEER, OrderSource.FLASHBOTS])
def test_what_others_sent_is_a_receipt(source):
    record = to_record(make_order(source=source, params=b"12345"), head=None)
    assert isinstance(record, ReceiptRecord)
    assert (record.source, record.size) == ("node-2", 5)


def test_users_are_refused_above_one_threshold_until_below_the_other(bench):
    while bench.spool.waiting_bytes < 1000:
        bench.recorder.check_room()
        bench.recorder.record(make_order())
    with pytest.raises(ArchiveFullError, match="Disk full"):
        bench.recorder.check_room()
    assert bench.value("refusing") == 1
    batch = bench.spool.read(max_records=1, max_bytes=1000)
    assert batch is not None
    bench.spool.acknowledge(batch.end)  # below reject, above resume
    with pytest.raises(ArchiveFullError):
        bench.recorder.check_room()
    bench.acknowledge_all()
    bench.recorder.check_room()
    assert bench.value("refusing") == 0


async def test_an_order_that_a_full_disk_caught_is_held_and_written_later(bench, monkeypatch):
    bench.recorder.record(make_order(number=1))
    working = bench.spool.append

    def refusing(_record: bytes) -> None:
        raise SpoolFullError("no space")

    monkeypatch.setattr(bench.spool, "append", refusing)
    monkeypatch.setattr(recorder_module, "_IDLE_CHECK_S", 0.01)
    bench.recorder.record(make_order(number=2))
    assert bench.value("held_bytes") > 0
    with pytest.raises(ArchiveFullError):
        bench.recorder.check_room()
    monkeypatch.setattr(bench.spool, "append", working)
    running = asyncio.create_task(bench.recorder.run())
    await bench.until_refusing(0)
    running.cancel()
    bench.recorder.record(make_order(number=3))
    batch = bench.spool.read(max_records=10, max_bytes=1 << 20)
    assert batch is not None
    found = [parse_record(data) for data in batch.records]
    assert [int.from_bytes(one.hash) for one in found if isinstance(one, OrderRecord)] == [1, 2, 3]


def test_what_neither_disk_nor_memory_takes_is_refused_and_counted(bench, monkeypatch):
    monkeypatch.setattr(recorder_module, "HELD_BYTES", 100)

    def refusing(_record: bytes) -> None:
        raise SpoolFullError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(bench.spool, "append", refusing)
        with pytest.raises(ArchiveFullError):
            bench.recorder.record(make_order(params=b"x" * 200))
    assert bench.value("records_lost_total") == 1


def test_a_record_that_is_too_large_costs_nobody_else_anything(bench, monkeypatch):
    """It was taken for a full disk, and users were refused until a restart."""
    monkeypatch.setattr(spool_segment, "MAX_RECORD_BYTES", 300)
    with pytest.raises(ArchiveFullError, match="at most 300"):
        bench.recorder.record(make_order(params=b"x" * 400))
    assert bench.value("records_lost_total") == 1
    assert bench.value("held_bytes") == 0
    bench.recorder.check_room()
    bench.recorder.record(make_order())
    assert bench.spool.waiting == 1


async def test_little_free_space_refuses_before_it_is_none(tmp_path):
    bench = Bench(tmp_path / "spool", min_free_bytes=1 << 60)
    running = asyncio.create_task(bench.recorder.run())
    await bench.until_refusing(1)
    running.cancel()
    bench.recorder.record(make_order())
    assert bench.spool.waiting == 1, "what is accepted is still kept"
    bench.recorder.close()


@pytest.mark.parametrize("interval", [-1.0, 0.0, 0.01])
async def test_every_sync_policy_leaves_nothing_open(tmp_path, interval):
    bench = Bench(tmp_path / "spool", sync_interval_s=interval)
    running = asyncio.create_task(bench.recorder.run())
    for number in range(5):
        bench.recorder.record(make_order(number=number))
        await asyncio.sleep(0)
    running.cancel()
    bench.recorder.close()
    again = Spool(tmp_path / "spool", max_bytes=1 << 20)
    assert again.waiting == 5
    again.close()
