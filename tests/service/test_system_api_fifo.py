# SPDX-License-Identifier: MIT
"""The FIFO: what is written arrives, nothing spins, and a flood costs bounded memory."""

import asyncio
import json
import os
import stat
import threading
import tracemalloc
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildernet.base.paths import MAX_EVENT_BYTES
from buildernet.node.event import send_event
from buildernet.system_api import fifo as fifo_module

_SOON_S = 20.0


async def _messages(service) -> list[str]:
    events = json.loads(await service.text("/api/v1/events"))
    return [event["message"] for event in events][1:]


async def _until(service, message: str) -> list[str]:
    async with asyncio.timeout(_SOON_S):
        while True:
            if message in (found := await _messages(service)):
                return found


async def test_everybody_may_write_under_any_umask(start):
    before = os.umask(0o077)
    try:
        async with start() as service:
            mode = service.fifo.stat().st_mode
    finally:
        os.umask(before)
    assert stat.S_ISFIFO(mode)
    assert stat.S_IMODE(mode) == 0o666


async def test_lines_of_several_writers_arrive(service):
    for number in range(3):
        with service.fifo.open("w") as writer:
            writer.write(f"writer {number}\n")
    send_event("by command", fifo=service.fifo)
    assert await _until(service, "by command") == ["writer 0", "writer 1", "writer 2", "by command"]


async def test_an_existing_fifo_is_kept_with_what_is_in_it(start, tmp_path):
    path = tmp_path / "events.fifo"
    os.mkfifo(path)
    keeper = os.open(path, os.O_RDWR)
    os.write(keeper, b"from before\n")
    async with start() as service:
        assert await _until(service, "from before") == ["from before"]
    os.close(keeper)


async def test_the_end_of_a_writer_does_not_make_the_reader_spin(service, monkeypatch):
    reads = []

    def counting(descriptor: int, size: int) -> bytes:
        data = os.read(descriptor, size)
        reads.append(len(data))
        return data

    monkeypatch.setattr(fifo_module, "os", _Counting(counting))
    with service.fifo.open("w") as writer:
        writer.write("last words\n")
    await _until(service, "last words")
    for _ in range(50):  # each turns the event loop several times
        await service.text("/livez")
    assert reads == [len("last words\n")]


class _Counting:
    """The module `os`, with its own `read`."""

    def __init__(self, read) -> None:
        self.read = read

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


async def test_a_line_without_its_newline_is_not_lost(service, monkeypatch):
    with service.fifo.open("w") as writer:
        writer.write("unfinished")
    await _until(service, "unfinished")
    with service.fifo.open("w") as writer:
        writer.write("next\n")
    assert await _until(service, "next") == ["unfinished", "next"]


async def test_a_line_too_long_is_cut_and_counted(service):
    with service.fifo.open("w") as writer:
        writer.write("x" * 10_000 + "\nafter\n")
    cut, after = await _until(service, "after")
    assert cut == "x" * (MAX_EVENT_BYTES - 1) + " [truncated]"
    assert after == "after"
    assert await service.metric("system_api_fifo_lines_truncated_total") == 1


async def test_a_flood_costs_bounded_memory_and_counts_what_it_dropped(start):
    lines, capacity = 20_000, 100
    async with start(log_max_entries=capacity) as service:

        def flood() -> None:
            with service.fifo.open("w") as writer:
                for number in range(lines):
                    writer.write(f"{number} " + "x" * 1000 + "\n")

        await service.text("/livez")
        tracemalloc.start()
        thread = threading.Thread(target=flood)
        thread.start()
        answered = 0
        async with asyncio.timeout(_SOON_S * 3):
            while thread.is_alive():
                await service.text("/livez")
                answered += 1
            name = 'system_api_events_total{source="fifo"}'
            while lines != await service.metric(name):
                pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        thread.join()
        messages = [line.split()[0] for line in await _last(service)]
        assert messages == [str(number) for number in range(lines - capacity, lines)]
        # The service's own first event was dropped too.
        assert await service.metric("system_api_events_dropped_total") == lines + 1 - capacity
        assert peak < 5_000_000  # 20 MB went through
        assert answered > 0


async def _last(service) -> list[str]:
    return [event["message"] for event in json.loads(await service.text("/api/v1/events"))]


@pytest.fixture
def process(launch):
    return launch()


@given(st.binary(max_size=6000))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_leave_a_service_that_answers(process, noise):
    with process.fifo.open("wb", buffering=0) as writer:
        writer.write(noise + b"\nend of noise\n")
    mark = f"mark {len(noise)}"
    assert process.get(f"/api/v1/new_event?message={quote(mark)}")[0] == 200
    status, body = process.get("/api/v1/events")
    assert status == 200
    assert mark in [event["message"] for event in json.loads(body)]
    status, body = process.get("/logs")
    assert status == 200
    assert all(" \t " in line for line in body.decode().splitlines())
