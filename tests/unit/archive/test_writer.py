# SPDX-License-Identifier: MIT
"""The writer: few insertions, an answer for each request, bounded memory."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from buildernet.archive.errors import BusyError, EngineError, EngineFullError
from buildernet.archive.rows import Row
from buildernet.archive.tables import BUNDLES, RECEIPTS
from buildernet.archive.writer import Writer, WriterLimits


class Slow:
    """An engine that waits until it is let go, and fails as told."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()
        self.inserted: list[tuple[str, bytes]] = []
        self.failures: list[EngineError | None] = []

    def insert(self, table: str, _columns: object, rows: bytes) -> None:
        self.entered.set()
        assert self.go.wait(20)
        if self.failures and (error := self.failures.pop(0)) is not None:
            raise error
        if b"poison" in rows:
            raise EngineError("cannot parse")
        self.inserted.append((table, rows))


@asynccontextmanager
async def writing(
    engine: Slow, *, interval_s: float = 0.0, max_waiting_bytes: int = 1 << 20
) -> AsyncIterator[tuple[Writer, list[str | None]]]:
    states: list[str | None] = []
    writer = Writer(
        cast(Any, engine),
        limits=WriterLimits(interval_s=interval_s, max_waiting_bytes=max_waiting_bytes),
        registry=CollectorRegistry(),
        on_state=states.append,
    )
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(writer.run())
        try:
            yield writer, states
        finally:
            engine.go.set()
            writer.stop()


async def _queued(writer: Writer, rows: list[Row]) -> asyncio.Task[None]:
    task = asyncio.create_task(writer.store(rows))
    await asyncio.sleep(0)
    return task


async def test_rows_that_come_during_an_insertion_share_the_next():
    engine = Slow()
    async with writing(engine) as (writer, _):
        engine.go.clear()
        tasks = [await _queued(writer, [(BUNDLES, b"a")])]
        assert await asyncio.to_thread(engine.entered.wait, 20)
        tasks += [await _queued(writer, [(BUNDLES, b"b"), (RECEIPTS, b"c")]) for _ in range(3)]
        engine.go.set()
        await asyncio.gather(*tasks)
    assert engine.inserted == [("bundles", b"a"), ("bundles", b"bbb"), ("bundle_receipts", b"ccc")]


async def test_one_bad_request_spoils_no_other():
    engine = Slow()
    async with writing(engine) as (writer, _):
        engine.go.clear()
        first = await _queued(writer, [(BUNDLES, b"1")])
        assert await asyncio.to_thread(engine.entered.wait, 20)
        tasks = [await _queued(writer, [(BUNDLES, text)]) for text in (b"x", b"poison", b"y")]
        engine.go.set()
        outcomes = await asyncio.gather(first, *tasks, return_exceptions=True)
    assert [type(one) for one in outcomes] == [type(None), type(None), EngineError, type(None)]
    assert [rows for _, rows in engine.inserted] == [b"1", b"x", b"y"]


async def test_a_full_disk_is_shown_until_rows_are_stored_again():
    engine = Slow()
    engine.failures = [EngineFullError("no space")]
    async with writing(engine) as (writer, states):
        with pytest.raises(EngineFullError):
            await writer.store([(BUNDLES, b"a")])
        assert states[-1] == "no space"
        await writer.store([(BUNDLES, b"a")])
        assert states[-1] is None


async def test_above_the_limit_nothing_more_is_taken():
    engine = Slow()
    async with writing(engine, max_waiting_bytes=100) as (writer, _):
        engine.go.clear()
        large = await _queued(writer, [(BUNDLES, b"x" * 500)])  # one alone is always taken
        with pytest.raises(BusyError, match="behind"):
            await writer.store([(BUNDLES, b"y")])
        engine.go.set()
        await large
        await writer.store([(BUNDLES, b"y")])
    assert len(engine.inserted) == 2


async def test_stopping_stores_what_was_taken_and_refuses_more():
    engine = Slow()
    async with writing(engine, interval_s=0.05) as (writer, _):
        engine.go.clear()
        tasks = [await _queued(writer, [(BUNDLES, b"%d" % n)]) for n in range(5)]
        writer.stop()
        with pytest.raises(BusyError, match="stopping"):
            await writer.store([(BUNDLES, b"late")])
        engine.go.set()
        await asyncio.gather(*tasks)
    assert b"".join(rows for _, rows in engine.inserted) == b"01234"


async def test_a_sender_that_leaves_takes_nobody_along():
    engine = Slow()
    async with writing(engine) as (writer, _):
        engine.go.clear()
        gone = await _queued(writer, [(BUNDLES, b"a")])
        stays = await _queued(writer, [(BUNDLES, b"b")])
        gone.cancel()
        engine.go.set()
        await stays
    assert b"".join(rows for _, rows in engine.inserted) == b"ab"
