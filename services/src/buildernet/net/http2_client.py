# SPDX-License-Identifier: MIT
"""HTTP/2 to one server: many requests at once over one connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event, RemoteSettingsChanged, ResponseReceived
from h2.exceptions import ProtocolError
from multidict import CIMultiDict, CIMultiDictProxy

from buildernet.net import limits
from buildernet.net.errors import ExchangeError
from buildernet.net.exchange import MAX_ANSWER_HEADERS, Answer, Outgoing
from buildernet.net.http2 import MAX_STREAMS, Http2Connection, Http2Stream

QUIET_S: Final = 30.0
"""Silence of a server that has requests of ours, before it is asked whether it is there."""

PING_TIMEOUT_S: Final = 10.0
"""For its answer; both as the reference."""

_LAST_STREAM: Final = (1 << 31) - 2 * MAX_STREAMS
"""Numbers of streams end at 2^31; a new connection comes before that."""

_CONNECTION_HEADERS: Final = frozenset(
    {"connection", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)


class _ClientStream(Http2Stream):
    """A request that waits for its answer."""

    def __init__(self, connection: Http2Connection, number: int) -> None:
        super().__init__(connection, number)
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def end(self, error: ExchangeError | None = None) -> None:
        super().end(error)
        if not self.answer.done():
            self.answer.set_exception(error or ExchangeError("server sent no answer"))
            self.answer.exception()  # nobody may be waiting any more


class Http2Client(Http2Connection):
    """The connection to one server."""

    def __init__(self, *, authority: str, scheme: str, idle_s: float) -> None:
        """Prepare the protocol of a connection.

        Args:
            authority: Host and port that requests are for.
            scheme: http or https.
            idle_s: How long it is kept without a request.
        """
        super().__init__(client=True)
        self._authority = authority
        self._scheme = scheme
        self._idle_s = idle_s
        self._room = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether new requests can go over it."""
        return (
            not self.closing
            and self.transport is not None
            and not self.transport.is_closing()
            and (self.h2.highest_outbound_stream_id or 0) < _LAST_STREAM
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start watching whether the server is still there."""
        super().connection_made(transport)
        self._watch = asyncio.create_task(self._keep_watch())

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who waits."""
        super().connection_lost(exc)
        self._room.set()
        if self._watch is not None:
            self._watch.cancel()

    @asynccontextmanager
    async def request(self, request: Outgoing) -> AsyncIterator[Answer]:
        """Send a request; leaving the context ends what is left of the exchange.

        Raises:
            ExchangeError: The server broke off or its answer is malformed.
        """
        stream = await self._open()
        sending: asyncio.Task[None] | None = None
        try:
            self._send_head(stream, request)
            if isinstance(request.body, bytes):
                await self.send_body(stream, request.body, end=True)
            elif request.body is not None:
                self.flush()
                sending = asyncio.create_task(self._send_body(stream, request.body))
            else:
                self.flush()
            yield await stream.answer
        finally:
            sent = sending is None or sending.done()
            if sending is not None and not sent:
                sending.cancel()
            if not sent or not stream.body.is_eof():
                self.reset(stream, ErrorCodes.CANCEL)
            self.streams.pop(stream.number, None)
            self._room.set()

    async def close(self) -> None:
        """Say goodbye and close."""
        if self.transport is not None:
            with suppress(ProtocolError):
                self.h2.close_connection()
            self.drop()

    def handle(self, event: Event) -> None:
        """Take the head of an answer; the rest is as on both sides."""
        if isinstance(event, ResponseReceived):
            stream = self.streams.get(event.stream_id or 0)
            if isinstance(stream, _ClientStream) and not stream.answer.done():
                self._take_head(stream, event)
            return
        super().handle(event)
        if isinstance(event, RemoteSettingsChanged):
            self._room.set()

    def drained(self, event: ConnectionTerminated) -> None:
        """Requests that the server did not take are over; the others go on."""
        super().drained(event)
        last = event.last_stream_id or 0
        for stream in tuple(self.streams.values()):
            if stream.number > last:
                self.broken(stream, ExchangeError("server takes no further requests"))

    async def _open(self) -> _ClientStream:
        while True:
            if not self.usable:
                raise ExchangeError("server closed the connection")
            room = min(self.h2.remote_settings.max_concurrent_streams, MAX_STREAMS)
            if self.h2.open_outbound_streams < room:
                stream = _ClientStream(self, self.h2.get_next_available_stream_id())
                self.streams[stream.number] = stream
                return stream
            self._room.clear()
            await self._room.wait()

    def _send_head(self, stream: _ClientStream, request: Outgoing) -> None:
        authority = request.headers.get("Host", self._authority)
        block = [
            (":method", request.method),
            (":scheme", self._scheme),
            (":authority", authority),
            (":path", request.path),
        ]
        for name, value in request.headers.items():
            if (lower := name.lower()) not in _CONNECTION_HEADERS:
                block.append((lower, value))
        self.send_headers(stream, block, end=request.body is None)

    async def _send_body(self, stream: _ClientStream, body: AsyncIterator[bytes]) -> None:
        try:
            async for piece in body:
                await self.send_body(stream, piece)
            await self.send_body(stream, b"", end=True)
        except Exception as exc:
            if not stream.answer.done():
                stream.answer.set_exception(exc)  # such as a body that is too large
            self.reset(stream, ErrorCodes.CANCEL)

    def _take_head(self, stream: _ClientStream, event: ResponseReceived) -> None:
        headers: CIMultiDict[str] = CIMultiDict()
        status = 0
        for name, value in event.headers or ():
            if len(name) + len(value) > limits.MAX_LINE_BYTES or len(headers) > MAX_ANSWER_HEADERS:
                self.reset(stream, ErrorCodes.ENHANCE_YOUR_CALM)
                stream.end(ExchangeError("headers of the answer are too large"))
                return
            if name == b":status" and bytes(value).isdigit():
                status = int(value)
            else:
                headers.add(bytes(name).decode("ascii"), bytes(value).decode("utf-8", "replace"))
        if not 200 <= status < 600:
            self.reset(stream, ErrorCodes.PROTOCOL_ERROR)
            stream.end(ExchangeError("the answer has no status"))
            return
        assert self.transport is not None  # noqa: S101  # what arrives has a connection
        peer = self.transport.get_extra_info("peer")
        stream.answer.set_result(Answer(status, "", CIMultiDictProxy(headers), stream.body, peer))

    async def _keep_watch(self) -> None:
        """Close an idle connection; cut one whose server is gone without a word."""
        loop = asyncio.get_running_loop()
        while self.transport is not None:
            await asyncio.sleep(min(QUIET_S, self._idle_s))
            quiet_s = loop.time() - self.last_heard
            if not self.streams:
                if quiet_s >= self._idle_s:
                    await self.close()
                continue
            if quiet_s < QUIET_S:
                continue
            self.h2.ping(bytes(8))
            self.flush()
            await asyncio.sleep(PING_TIMEOUT_S)
            if loop.time() - self.last_heard > PING_TIMEOUT_S and self.transport is not None:
                self.transport.abort()
