# SPDX-License-Identifier: MIT
"""HTTP/2 in front of an aiohttp application: each stream becomes a request like any other.

Handlers, middlewares, limits and metrics do not see a difference. Left out: server push, trailers
(dropped), CONNECT and so WebSocket over HTTP/2 (RFC 8441; refused).
"""

import asyncio
import logging
import re
from contextlib import suppress
from typing import Any, Final

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from h2.errors import ErrorCodes
from h2.events import Event, RequestReceived
from h2.exceptions import ProtocolError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from buildernet.net import limits
from buildernet.net.errors import ExchangeError
from buildernet.net.http2 import MAX_STREAMS, Http2Connection, Http2Stream

_CONNECTION_HEADERS: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)
"""Of HTTP/1.1 alone; a peer must treat an answer with one of them as malformed."""

_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_PATH: Final = re.compile(rb"(/[!-~]*|\*)")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE: Final = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
_CONTINUE: Final = [(":status", "100")]
_TOO_LARGE: Final = [(":status", "431"), ("content-length", "0")]

_log = logging.getLogger(__name__)


class _RefusedError(Exception):
    """A request that is well-formed HTTP/2, but could not be passed on as HTTP/1.1."""


class _TooLargeError(_RefusedError):
    """Its headers are too many or too long."""


class _StreamTransport(asyncio.Transport):
    """What a handler sees as its connection's transport: aborting it ends one stream."""

    def __init__(self, stream: "_ServerStream") -> None:
        super().__init__()
        self._stream = stream

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Answer as the connection does."""
        transport = self._stream.connection.transport
        return default if transport is None else transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether the stream broke off."""
        return self._stream.error is not None

    def abort(self) -> None:
        """Reset the stream."""
        self._stream.connection.reset(self._stream, ErrorCodes.INTERNAL_ERROR)
        self._stream.end(ExchangeError("the handler gave up"))

    def close(self) -> None:
        """Nothing: the stream ends with its answer."""


class _ServerStream(Http2Stream):
    """A stream in the place where a request has its connection."""

    ssl_context = None

    def __init__(self, connection: "Http2ServerConnection", number: int) -> None:
        super().__init__(connection, number)
        self.transport = _StreamTransport(self)
        self.peername = self.transport.get_extra_info("peername")
        self.sockname = self.transport.get_extra_info("sockname")
        self.task: asyncio.Task[None] | None = None


class _Writer(AbstractStreamWriter):
    """Writes an answer as frames."""

    def __init__(self, stream: _ServerStream) -> None:
        self._stream = stream
        self._connection = stream.connection

    async def write_headers(self, status_line: str, headers: "CIMultiDict[str]") -> None:
        block = [(":status", status_line.split(" ", 2)[1])]
        for name, value in headers.items():
            if (lower := name.lower()) not in _CONNECTION_HEADERS:
                block.append((lower, value))
        self._connection.send_headers(self._stream, block, end=False)

    def send_headers(self) -> None:
        self._connection.flush()

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.output_size += len(chunk)
        await self._connection.send_body(self._stream, bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        self.output_size += len(chunk)
        await self._connection.send_body(self._stream, chunk, end=True)

    async def drain(self) -> None:
        await self._connection.writable()

    def enable_chunking(self) -> None:
        """Nothing: frames say where a body ends."""

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Not used by our handlers."""
        raise NotImplementedError


class Http2ServerConnection(Http2Connection):
    """A connection of one client; to the `web.Server` it is one of its own."""

    _task_handler = None
    """aiohttp looks at it when the connection is gone; tasks are ours here."""

    def __init__(self, server: web.Server, *, read_timeout_s: float) -> None:
        """Prepare the protocol of a connection.

        Args:
            server: Handles the requests.
            read_timeout_s: What a client gets to read an answer that is finished.
        """
        super().__init__(client=False)
        self._server = server
        self._read_timeout_s = read_timeout_s
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it in."""
        super().connection_made(transport)
        self._server.connection_made(self, transport)  # type: ignore[arg-type]  # see the class

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it out, and stop what nobody waits for any more."""
        super().connection_lost(exc)
        self._server.connection_lost(self, exc)  # type: ignore[arg-type]  # see the class
        for task in self._tasks:
            task.cancel()

    def close(self) -> None:
        """Take no new requests; called when the server stops."""
        self.closing = True
        if self.transport is not None and not self._tasks:
            self._goodbye()

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # aiohttp's
        """Let running requests finish, cut what is left."""
        self.closing = True
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=timeout)
        for task in self._tasks:
            task.cancel()
        if self.transport is not None:
            self._goodbye()

    def handle(self, event: Event) -> None:
        """Start a request; the rest is as on both sides."""
        if isinstance(event, RequestReceived):
            self._begin(event)
        else:
            super().handle(event)

    def broken(self, stream: Http2Stream, error: ExchangeError) -> None:
        """Stop the handler of a request that was taken back."""
        super().broken(stream, error)
        if isinstance(stream, _ServerStream) and stream.task is not None:
            stream.task.cancel()

    def _goodbye(self) -> None:
        with suppress(ProtocolError):  # closed already
            self.h2.close_connection()
        self.drop()

    def _begin(self, event: RequestReceived) -> None:
        number = event.stream_id
        stream = _ServerStream(self, number)
        self.streams[number] = stream
        # A reset stream makes room for another in h2's eyes before its handler has ended.
        if self.closing or len(self._tasks) >= MAX_STREAMS:
            self.reset(stream, ErrorCodes.REFUSED_STREAM)
            return
        try:
            message, expects = _message(event)
        except _TooLargeError:
            self.send_headers(stream, _TOO_LARGE, end=True)
            if event.stream_ended is None:
                self.reset(stream, ErrorCodes.NO_ERROR)  # its body is not wanted
            self.streams.pop(number, None)
            return
        except _RefusedError:
            self.reset(stream, ErrorCodes.PROTOCOL_ERROR)
            return
        if expects:
            self.send_headers(stream, _CONTINUE, end=False)
        has_body = event.stream_ended is None
        task = asyncio.get_running_loop().create_task(self._serve(stream, message, has_body))
        stream.task = task
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _serve(
        self, stream: _ServerStream, message: RawRequestMessage, has_body: bool
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine that runs has one
        request = self._server.request_factory(
            message,
            stream.body if has_body else EMPTY_PAYLOAD,
            stream,  # type: ignore[arg-type]  # of its protocol a request needs what is there
            _Writer(stream),
            task,
        )
        try:
            try:
                response = await self._server.request_handler(request)
            except web.HTTPException as exc:
                response = exc
            async with asyncio.timeout(self._read_timeout_s):
                await response.prepare(request)
                await response.write_eof()
            if has_body and not stream.body.is_eof():
                self.reset(stream, ErrorCodes.NO_ERROR)  # RFC 9113 section 8.1: stop sending
        except (ExchangeError, ConnectionError, TimeoutError):
            self.reset(stream, ErrorCodes.INTERNAL_ERROR)
        except asyncio.CancelledError:
            self.reset(stream, ErrorCodes.CANCEL)
            raise
        except Exception:
            _log.exception("request_failed path=%s", request.path)
            self.reset(stream, ErrorCodes.INTERNAL_ERROR)
        finally:
            request._finish()  # closes what the request opened, as aiohttp's own protocol does
            self.streams.pop(stream.number, None)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self.closing and not self._tasks and self.transport is not None:
            self._goodbye()


def _message(event: RequestReceived) -> tuple[RawRequestMessage, bool]:
    """Return the request as aiohttp's parser gives it, and whether its client waits for a 100.

    Raises:
        _RefusedError: It could not be written as HTTP/1.1 without meaning something else there.
    """
    # h2 has checked which pseudo-headers there are, their order, and the lengths that are named.
    pseudo: dict[bytes, bytes] = {}
    raw: list[tuple[bytes, bytes]] = []
    cookies: list[bytes] = []
    expects = False
    for name, value in event.headers or ():
        name, value = bytes(name), bytes(value)
        if len(name) + len(value) > limits.MAX_LINE_BYTES:
            raise _TooLargeError
        if name.startswith(b":"):
            pseudo[name] = value
        elif not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise _RefusedError
        elif name == b"cookie":
            cookies.append(value)
        elif name == b"expect":
            expects = value.lower() == b"100-continue"
        else:
            raw.append((name, value))
    if len(raw) + len(cookies) > limits.MAX_HEADERS:
        raise _TooLargeError
    lengths = [value for name, value in raw if name == b"content-length"]
    if len(lengths) > 1 or (lengths not in ([], [b"0"]) and event.stream_ended is not None):
        raise _RefusedError  # h2 compares a length with what comes, not with nothing
    method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if b":protocol" in pseudo or not _METHOD.fullmatch(method) or not _PATH.fullmatch(path):
        raise _RefusedError
    if (authority := pseudo.get(b":authority")) is not None:
        if not _VALUE.fullmatch(authority):
            raise _RefusedError
        raw = [(b"host", authority), *(entry for entry in raw if entry[0] != b"host")]
    if cookies:
        raw.append((b"cookie", b"; ".join(cookies)))  # RFC 9113 section 8.2.3
    headers = CIMultiDict(
        (name.decode("ascii"), value.decode("utf-8", "surrogateescape")) for name, value in raw
    )
    target = path.decode("ascii")
    message = RawRequestMessage(
        method.decode("ascii"),
        target,
        HttpVersion11,
        CIMultiDictProxy(headers),
        tuple(raw),
        should_close=False,
        compression=None,
        upgrade=False,
        chunked=False,
        url=URL(target, encoded=True) if target != "*" else URL("/"),
    )
    return message, expects and event.stream_ended is None
