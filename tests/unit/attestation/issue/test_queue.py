# SPDX-License-Identifier: MIT
"""The quote queue: one at a time, shared, bounded, with deadlines. Events, never sleeps."""

from __future__ import annotations

import asyncio
import threading

import pytest

from buildernet.attestation.issue import QuoteQueue
from buildernet.attestation.issue.errors import (
    QuoteDeadlineError,
    QuoteQueueFullError,
    QuoteUnavailableError,
)
from buildernet.attestation.issue.queue import QueueCounts

STUCK_SECONDS = 30.0


class Hardware:
    """Quotes when allowed to; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.begun = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)
        self.at_once = 0
        self.error: Exception | None = None

    def quote(self, report_data: bytes) -> bytes:
        self.at_once += 1
        assert self.at_once == 1
        self.asked.append(report_data)
        self.begun.release()
        assert self.allowed.acquire(timeout=STUCK_SECONDS)
        self.at_once -= 1
        if self.error is not None:
            raise self.error
        return b"quote of " + report_data

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=STUCK_SECONDS)


@pytest.fixture
def hardware():
    made = Hardware()
    yield made
    made.allowed.release(1000)


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_quotes_are_made_one_at_a_time_in_order(hardware: Hardware):
    hardware.allowed.release(100)
    wanted = [bytes([number]) for number in range(20)]
    async with QuoteQueue(hardware.quote) as queue:
        quotes = await asyncio.gather(*(queue.get(data) for data in wanted))
    assert quotes == [b"quote of " + data for data in wanted]
    assert hardware.asked == wanted
    assert queue.counts == QueueCounts(issued=20)


async def test_equal_report_data_shares_one_quote(hardware: Hardware):
    async with QuoteQueue(hardware.quote) as queue, asyncio.TaskGroup() as group:
        tasks = [group.create_task(queue.get(b"same")) for _ in range(5)]
        await hardware.has_begun()
        tasks.append(group.create_task(queue.get(b"same")))
        await settle()
        hardware.allowed.release()
    assert {task.result() for task in tasks} == {b"quote of same"}
    assert (hardware.asked, queue.counts.coalesced) == ([b"same"], 5)


async def test_finished_quote_is_not_reused(hardware: Hardware):
    hardware.allowed.release(2)
    async with QuoteQueue(hardware.quote) as queue:
        await queue.get(b"same")
        await queue.get(b"same")
    assert hardware.asked == [b"same", b"same"]


async def test_full_queue_refuses_at_once(hardware: Hardware):
    async with QuoteQueue(hardware.quote, max_waiting=2) as queue, asyncio.TaskGroup() as group:
        group.create_task(queue.get(b"0"))
        await hardware.has_begun()
        for data in (b"1", b"2"):
            group.create_task(queue.get(data))
        await settle()
        assert queue.waiting == 2
        with pytest.raises(QuoteQueueFullError):
            await queue.get(b"3")
        group.create_task(queue.get(b"2"))  # shares, therefore needs no place
        await settle()
        hardware.allowed.release(3)
    assert (hardware.asked, queue.counts.refused) == ([b"0", b"1", b"2"], 1)


async def test_deadline_passes_and_an_abandoned_quote_is_never_made(hardware: Hardware):
    async with QuoteQueue(hardware.quote, deadline_seconds=0.05) as queue:
        first = asyncio.create_task(queue.get(b"0"))
        await hardware.has_begun()
        with pytest.raises(QuoteDeadlineError):
            await queue.get(b"1")
        with pytest.raises(QuoteDeadlineError):
            await first
        hardware.allowed.release(2)
        assert await queue.get(b"2") == b"quote of 2"
    assert hardware.asked == [b"0", b"2"]
    assert (queue.counts.expired, queue.counts.abandoned) == (2, 1)


async def test_places_of_callers_who_left_are_given_away(hardware: Hardware):
    async with QuoteQueue(hardware.quote, max_waiting=1) as queue:
        first = asyncio.create_task(queue.get(b"0"))
        await hardware.has_begun()
        leaver = asyncio.create_task(queue.get(b"1"))
        await settle()
        leaver.cancel()
        await asyncio.gather(leaver, return_exceptions=True)
        other = asyncio.create_task(queue.get(b"2"))
        hardware.allowed.release(2)
        assert list(await asyncio.gather(first, other)) == [b"quote of 0", b"quote of 2"]


@pytest.mark.parametrize("error", [QuoteUnavailableError("no"), TimeoutError("own"), ValueError()])
async def test_failure_reaches_every_caller_and_the_next_quote_works(
    hardware: Hardware, error: Exception
):
    hardware.allowed.release(2)
    hardware.error = error
    async with QuoteQueue(hardware.quote) as queue:
        results = await asyncio.gather(queue.get(b"0"), queue.get(b"0"), return_exceptions=True)
        assert [repr(result) for result in results] == [repr(error)] * 2
        hardware.error = None
        assert await queue.get(b"1") == b"quote of 1"
    assert queue.counts.failed == 1


async def test_stopping_tells_callers(hardware: Hardware):
    async with QuoteQueue(hardware.quote) as queue:
        tasks = [asyncio.create_task(queue.get(bytes([number]))) for number in range(3)]
        await hardware.has_begun()
        await settle()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [QuoteUnavailableError] * 3
