# SPDX-License-Identifier: MIT
"""HTTP/2 in memory: what becomes of requests, and of peers that abuse what the protocol allows."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from buildernet.net import http2
from buildernet.net.http2_server import Http2ServerConnection
from tests.support.wire import Wire

HEADERS = [(":method", "GET"), (":scheme", "https"), (":authority", "node"), (":path", "/a?b")]
DEADLINE_S = 10.0


class Peer:
    """A client made of h2 alone, and the server it talks to."""

    def __init__(self, handler: Any) -> None:
        self.server = web.Server(handler)
        self.wire = Wire()
        self.connection = Http2ServerConnection(self.server, read_timeout_s=DEADLINE_S)
        self.connection.connection_made(self.wire)
        # As an attacker's: nothing of what it sends is checked.
        config = H2Configuration(
            client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.h2 = H2Connection(config)
        self.h2.initiate_connection()
        self.events: list[Event] = []

    def push(self) -> None:
        """Deliver what was prepared, and take what the server had to say until then."""
        self.connection.data_received(self.h2.data_to_send())
        self.pull()

    def pull(self) -> None:
        data, self.wire.sent = bytes(self.wire.sent), bytearray()
        self.events += self.h2.receive_data(data)

    async def until(self, kind: type[Event], number: int | None = None) -> Any:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                self.push()
                for event in self.events:
                    if isinstance(event, kind) and number in (
                        None,
                        getattr(event, "stream_id", None),
                    ):
                        return event
                await asyncio.sleep(0)


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    body = await request.read()
    seen = "|".join(f"{name}={value}" for name, value in request.headers.items())
    return web.Response(body=body or request.path_qs.encode(), headers={"X-Seen": seen})


async def forever(_request: web.BaseRequest) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("never set")


async def test_a_stream_becomes_a_request() -> None:
    peer = Peer(echo)
    cookies = [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")]
    peer.h2.send_headers(1, [*HEADERS, *cookies], end_stream=True)
    answer = await peer.until(ResponseReceived)
    await peer.until(StreamEnded)
    headers = dict(answer.headers)
    assert headers[b":status"] == b"200"
    assert b"connection" not in headers
    assert b"transfer-encoding" not in headers
    assert headers[b"x-seen"] == b"host=node|te=trailers|cookie=a=1; b=2"
    [data] = [event for event in peer.events if isinstance(event, DataReceived)]
    assert data.data == b"/a?b"
    assert peer.connection.streams == {}


async def test_expectation_is_answered_first() -> None:
    peer = Peer(echo)
    head = [(":method", "POST"), *HEADERS[1:], ("expect", "100-continue")]
    peer.h2.send_headers(1, head)
    peer.push()
    peer.h2.send_data(1, b"order", end_stream=True)
    await peer.until(StreamEnded)
    [data] = [event for event in peer.events if isinstance(event, DataReceived)]
    assert data.data == b"order"


@pytest.mark.parametrize(
    "wrong",
    [
        [(":method", "GET"), (":path", "/a b")],
        [(":method", "GET"), (":path", "/a\r\nX: y")],
        [(":method", "GET"), (":path", "http://elsewhere/")],
        [(":method", "GE T"), (":path", "/")],
        [(":method", "CONNECT"), (":path", "/"), (":protocol", "websocket")],
        [(":method", "GET"), (":path", "/"), ("x y", "z")],
        [(":method", "GET"), (":path", "/"), ("x", "a\r\nTransfer-Encoding: chunked")],
        [(":method", "GET"), (":path", "/"), ("transfer-encoding", "chunked")],
        [(":method", "GET"), (":path", "/"), ("content-length", "5")],
    ],
)
async def test_what_would_mean_something_else_in_http1_is_refused(
    wrong: list[tuple[str, str]],
) -> None:
    calls = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        calls.append(request)
        return web.Response()

    peer = Peer(handler)
    peer.h2.send_headers(1, [*HEADERS[1:3], *wrong], end_stream=True)
    peer.push()
    for _ in range(5):
        await asyncio.sleep(0)
    assert calls == []
    assert peer.wire.closed or any(isinstance(event, StreamReset) for event in peer.events)


@pytest.mark.parametrize("headers", [[("x", "y" * 9000)], [(f"x{i}", "y") for i in range(70)]])
async def test_too_many_headers_are_answered_so(headers: list[tuple[str, str]]) -> None:
    peer = Peer(echo)
    peer.h2.send_headers(1, [*HEADERS, *headers], end_stream=True)
    answer = await peer.until(ResponseReceived)
    assert dict(answer.headers)[b":status"] == b"431"


async def test_the_body_behind_refused_headers_is_not_taken() -> None:
    peer = Peer(echo)
    peer.h2.send_headers(1, [(":method", "POST"), *HEADERS[1:], ("x", "y" * 9000)])
    assert (await peer.until(StreamReset)).error_code == ErrorCodes.NO_ERROR
    assert peer.connection.streams == {}


async def test_a_stop_lets_running_requests_finish_and_takes_no_others() -> None:
    release = asyncio.Event()

    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        await release.wait()
        return web.Response(body=b"finished")

    peer = Peer(handler)
    peer.h2.send_headers(1, HEADERS, end_stream=True)
    peer.push()
    await asyncio.sleep(0)
    peer.server.pre_shutdown()
    stopping = asyncio.create_task(peer.server.shutdown(DEADLINE_S))
    await asyncio.sleep(0)
    peer.h2.send_headers(3, HEADERS, end_stream=True)
    refused = await peer.until(StreamReset, 3)
    assert refused.error_code == ErrorCodes.REFUSED_STREAM
    release.set()
    async with asyncio.timeout(DEADLINE_S):
        await stopping
    peer.pull()
    assert any(isinstance(event, DataReceived) for event in peer.events)
    assert any(isinstance(event, ConnectionTerminated) for event in peer.events)
    assert peer.wire.closed
    peer.connection.connection_lost(None)


async def test_a_list_of_headers_that_unpacks_to_much_ends_the_connection() -> None:
    peer = Peer(echo)
    peer.h2.send_headers(1, [*HEADERS, *[("x", "y" * 4000)] * 20], end_stream=True)
    peer.push()
    assert peer.wire.closed


async def test_rapid_reset_ends_the_connection() -> None:
    running = 0

    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        nonlocal running
        running += 1
        try:
            return await forever(_request)
        finally:
            running -= 1

    peer = Peer(handler)
    for number in range(1, 2 * http2.NUISANCE_BUDGET + 200, 2):
        if peer.wire.closed:
            break
        peer.h2.send_headers(number, HEADERS, end_stream=True)
        peer.h2.reset_stream(number)
        try:
            peer.push()
        except Exception:  # what our h2 thinks of the server's goodbye does not matter
            break
        await asyncio.sleep(0)
        assert len(peer.connection._tasks) <= http2.MAX_STREAMS
    assert peer.wire.closed
    peer.connection.connection_lost(None)
    for _ in range(5):
        await asyncio.sleep(0)
    assert running == 0
    assert peer.server.connections == []


async def test_pings_without_end_end_the_connection() -> None:
    peer = Peer(echo)
    for _ in range(http2.NUISANCE_BUDGET + 10):
        peer.h2.ping(bytes(8))
    peer.push()
    [goodbye] = [event for event in peer.events if isinstance(event, ConnectionTerminated)]
    assert goodbye.error_code == ErrorCodes.ENHANCE_YOUR_CALM
    assert peer.wire.closed


async def test_streams_at_once_are_bounded() -> None:
    peer = Peer(forever)
    peer.push()
    # The limit as the server said it does not bind an attacker.
    peer.h2.remote_settings.max_concurrent_streams = 10_000
    peer.h2.remote_settings.acknowledge()
    for number in range(1, 2 * http2.MAX_STREAMS + 21, 2):
        peer.h2.send_headers(number, HEADERS, end_stream=True)
    peer.push()
    assert peer.wire.closed
    assert len(peer.connection._tasks) <= http2.MAX_STREAMS
    peer.connection.connection_lost(None)


async def test_a_body_that_nobody_reads_stops_its_sender() -> None:
    peer = Peer(forever)
    peer.push()
    peer.h2.send_headers(1, [(":method", "POST"), *HEADERS[1:]])
    sent = 0
    while (room := peer.h2.local_flow_control_window(1)) > 0:
        size = min(room, peer.h2.max_outbound_frame_size)
        peer.h2.send_data(1, bytes(size))
        sent += size
        peer.push()
    limit = http2.STREAM_WINDOW_BYTES + 3 * http2.READ_BUFFER_BYTES + http2.MAX_FRAME_BYTES
    assert http2.STREAM_WINDOW_BYTES <= sent <= limit
    peer.connection.connection_lost(None)


async def test_a_reader_without_window_holds_up_only_itself() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=bytes(200_000) if request.path == "/large" else b"small")

    peer = Peer(handler)
    peer.h2.send_headers(1, [*HEADERS[:3], (":path", "/large")], end_stream=True)
    peer.push()
    # h2 opens the window only when what came is acknowledged, which this client never does.
    await asyncio.sleep(0)
    peer.push()
    assert peer.h2.remote_flow_control_window(1) < 65535
    assert not [event for event in peer.events if isinstance(event, StreamEnded)]
    assert 1 in peer.connection.streams
    peer.connection.connection_lost(None)
    for _ in range(5):
        await asyncio.sleep(0)
    assert peer.connection._tasks == set()


def recorded() -> bytes:
    """What an honest client sends."""
    h2 = H2Connection(H2Configuration(client_side=True))
    h2.initiate_connection()
    h2.send_headers(1, [(":method", "POST"), *HEADERS[1:]])
    h2.send_data(1, b"order" * 100, end_stream=True)
    h2.ping(bytes(8))
    h2.send_headers(3, HEADERS, end_stream=True)
    return h2.data_to_send()


RECORDED = recorded()


@settings(max_examples=150, deadline=None)
@given(
    cut=st.integers(0, len(RECORDED)),
    flips=st.lists(st.tuples(st.integers(24, len(RECORDED) - 1), st.integers(1, 255)), max_size=3),
    tail=st.binary(max_size=64),
)
def test_no_bytes_break_the_server(cut: int, flips: list[tuple[int, int]], tail: bytes) -> None:
    data = bytearray(RECORDED)
    for at, bits in flips:
        data[at] ^= bits

    async def run() -> None:
        peer = Peer(echo)
        for part in (bytes(data[:cut]), bytes(data[cut:]), tail):
            if not peer.wire.closed:
                peer.connection.data_received(part)
            await asyncio.sleep(0)
        peer.connection.connection_lost(None)
        for _ in range(3):
            await asyncio.sleep(0)
        assert peer.connection.streams == {}

    asyncio.run(run())
