# SPDX-License-Identifier: MIT
"""No client can hold what it does not use: slow, large, many, or malformed."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from http import HTTPStatus

import pytest

from buildernet.net import limits
from buildernet.net.limits import ServerLimits
from buildernet.system_api.handlers import EVENTS

_SOON_S = 10.0
"""Deadline of the tests; what they wait for is set to a fraction of a second."""


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(_SOON_S):
            return await reader.read()
    except ConnectionError:
        return b""


def _fill(service) -> None:
    """Make the list of events 24 MB of JSON: more than any socket buffer."""
    for _ in range(1000):
        service.app[EVENTS].append("x\x01" * 2000, source="http")


async def test_headers_that_never_end_are_cut(start):
    async with start(http_read_timeout_ms=200) as service, service.connect() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        started = time.monotonic()
        assert await _read_all(reader) == b""
        assert 0.15 < time.monotonic() - started < _SOON_S


async def test_headers_that_trickle_are_cut_too(start):
    async with start(http_read_timeout_ms=200) as service, service.connect() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        async with asyncio.timeout(_SOON_S), asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_read_all(reader))
            while not reading.done():
                writer.write(b"X: y\r\n")
                await asyncio.wait([reading], timeout=0.02)
        assert reading.result() == b""


async def test_a_client_that_does_not_read_is_cut(start):
    async with start(http_write_timeout_ms=200) as service, service.connect() as (reader, writer):
        _fill(service)
        writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        wanted = 'route="/api/v1/events",status="408"} 1.0'
        async with asyncio.timeout(_SOON_S):
            while wanted not in await service.text("/metrics"):
                pass
        received = await _read_all(reader)
        assert b'"code"' not in received  # no second answer inside the first
        assert not received.endswith(b"0\r\n\r\n")  # cannot be taken for the whole


async def test_a_client_that_reads_gets_everything(service):
    for number in range(999):
        service.app[EVENTS].append(f"{number} " + "x" * 4000, source="http")
    events = json.loads(await service.text("/api/v1/events"))[1:]
    assert [event["message"].split()[0] for event in events] == [str(n) for n in range(999)]


async def test_an_answer_that_is_never_read_is_dropped(start):
    """The answer is handed over, so no handler waits; but the connection may not stay for ever."""
    asked = 20_000
    async with start(http_read_timeout_ms=300) as service, service.connect() as (reader, writer):
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * asked)
        wanted = "system_api_http_connections_expired_total 0.0"
        async with asyncio.timeout(_SOON_S):
            while wanted in await service.text("/metrics"):
                pass
        assert (await _read_all(reader)).count(b"HTTP/1.1 200 OK") < asked


async def test_a_large_body_is_refused(service):
    size = ServerLimits().max_body_bytes + 1
    async with service.connect() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        answer = await _read_all(reader)
    assert answer.startswith(b"HTTP/1.1 413 ")
    # Python 3.13 has another phrase for this code than 3.11.
    phrase = HTTPStatus.REQUEST_ENTITY_TOO_LARGE.phrase
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"code": 413, "message": phrase}


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * limits.MAX_LINE_BYTES + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * limits.MAX_LINE_BYTES + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (limits.MAX_HEADERS + 2) + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["long line", "long header", "many headers", "TLS", "HTTP/9.9", "nonsense"],
)
async def test_what_is_not_a_small_request_is_refused_without_noise(service, caplog, head):
    async with service.connect() as (reader, writer):
        writer.write(head)
        assert (await _read_all(reader)).startswith(b"HTTP/1.0 400 ")
    assert await service.text("/livez")
    assert [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")] == []
    assert "Traceback" not in caplog.text


async def test_too_many_connections_are_closed_and_counted(service):
    await service.text("/livez")  # the test's own client takes one, and keeps it
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(service.connect())
            for _ in range(ServerLimits().max_connections - 1 + 3)
        ]
        for reader, _ in streams[-3:]:
            assert await _read_all(reader) == b""
        assert await service.metric("system_api_http_connections_refused_total") == 3
        reader, writer = streams[0]
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 200 OK" in await _read_all(reader)
        async with service.connect() as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b" 200 OK" in await _read_all(reader)


async def test_an_idle_connection_is_closed(start):
    async with start(http_read_timeout_ms=200) as service, service.connect() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await _read_all(reader)).count(b"HTTP/1.1 200") == 1


async def test_a_stop_does_not_wait_for_a_client_that_does_not_read(start, monkeypatch):
    monkeypatch.setattr(limits, "STOP_TIMEOUT_S", 0.3)
    async with asyncio.timeout(_SOON_S), AsyncExitStack() as stack:
        async with start() as service:
            _fill(service)
            reader, writer = await stack.enter_async_context(service.connect())
            writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n")
            started = time.monotonic()
        assert time.monotonic() - started < limits.STOP_TIMEOUT_S + 3
