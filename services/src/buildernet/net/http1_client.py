# SPDX-License-Identifier: MIT
"""HTTP/1.1 to one server over connections that are kept.

aiohttp's parser and protocol below, none of its session above: for a proxy the session costs more
time than everything else together (docs/services/attested-proxy.md has the figures).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage

from buildernet.net import limits
from buildernet.net.errors import ExchangeError
from buildernet.net.exchange import (
    MAX_ANSWER_HEADERS,
    MAX_INFORMATIONAL,
    Answer,
    Outgoing,
    header_lines,
)

READ_BUFFER_BYTES: Final = 256 * 1024
"""Of an answer before its server has to wait; aiohttp's default."""

_BROKEN: Final = (aiohttp.ClientError, HttpProcessingError, OSError)
_SWITCHING_PROTOCOLS: Final = 101
_OK: Final = 200
_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Sent once more on a new connection when a kept one turns out to be closed."""


class Http1Connection:
    """One connection; it carries one request at a time."""

    def __init__(self, handler: ResponseHandler) -> None:
        """Take a connection whose transport is made, or will be before the first request."""
        self.handler = handler
        self.idle_since = 0.0
        self._sending: asyncio.Task[None] | None = None

    @property
    def reusable(self) -> bool:
        """Whether another request can go over it."""
        done = self._sending is None or self._sending.done()
        return done and self.handler.is_connected() and not self.handler.should_close

    async def exchange(self, request: Outgoing) -> Answer:
        """Send a request; return once the headers of the answer are there.

        Raises:
            ExchangeError: The server broke off or its answer is malformed.
        """
        handler = self.handler
        try:
            self._send(request)
            skip = request.method == "HEAD"
            handler.set_response_params(
                skip_payload=skip,
                read_until_eof=True,
                auto_decompress=False,
                read_bufsize=READ_BUFFER_BYTES,
                max_line_size=limits.MAX_LINE_BYTES,
                max_field_size=limits.MAX_LINE_BYTES,
                max_headers=MAX_ANSWER_HEADERS,
            )
            message, content = await self._answer()
        except _BROKEN as exc:
            raise ExchangeError(f"server failed: {exc or type(exc).__name__}") from exc
        transport = handler.transport
        peer = None if transport is None else transport.get_extra_info("peer")
        return Answer(message.code, message.reason, message.headers, content, peer)

    def close(self) -> None:
        """Give the connection up."""
        if self._sending is not None:
            self._sending.cancel()
        self.handler.abort()

    async def _answer(self) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
        for _ in range(MAX_INFORMATIONAL):
            message, content = await self.handler.read()
            if message.code == _SWITCHING_PROTOCOLS:
                raise ExchangeError("server switches to another protocol")
            if message.code >= _OK:
                return message, content
        raise ExchangeError("server sends only interim answers")

    def _send(self, request: Outgoing) -> None:
        headers, body = request.headers, request.body
        first = f"{request.method} {request.path} HTTP/1.1"
        if isinstance(body, bytes):
            headers["Content-Length"] = str(len(body))
            self._write(header_lines(first, headers.items()) + body)
            return
        if body is None:
            headers.popall("Content-Length", None)
            self._write(header_lines(first, headers.items()))
            return
        length = int(headers["Content-Length"]) if "Content-Length" in headers else None
        if length is None:
            headers["Transfer-Encoding"] = "chunked"
        self._write(header_lines(first, headers.items()))
        self._sending = asyncio.create_task(self._send_body(body, length))

    async def _send_body(self, body: AsyncIterator[bytes], length: int | None) -> None:
        """Send a body as it arrives.

        Args:
            body: Its pieces.
            length: What its headers promise, in bytes; None sends chunks.
        """
        chunked = length is None
        sent = 0
        try:
            async for piece in body:
                sent += len(piece)
                if length is not None and sent > length:
                    raise ExchangeError("the body is longer than its headers say")
                self._write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                if self.handler.writing_paused:
                    await self.handler._drain_helper()  # aiohttp's own writer calls it as well
            if chunked:
                self._write(b"0\r\n\r\n")
            elif sent != length:
                raise ExchangeError("the body is shorter than its headers say")
        except BaseException as exc:
            self.handler.abort()  # what is sent is not the whole
            if not isinstance(exc, asyncio.CancelledError):
                self.handler.set_exception(exc)  # ends the wait for an answer

    def _write(self, data: bytes) -> None:
        transport = self.handler.transport
        if transport is None or transport.is_closing():
            raise ExchangeError("server closed the connection")
        transport.write(data)


Open = Callable[[], Awaitable[Http1Connection]]


class Http1Pool:
    """Connections to one server; idle ones are kept for a while."""

    def __init__(self, connect: Open, *, limit: int, idle_s: float) -> None:
        """Prepare a pool.

        Args:
            connect: Opens a connection.
            limit: Open at once; further requests wait.
            idle_s: How long an idle connection is kept.
        """
        self._connect = connect
        self._free = asyncio.Semaphore(limit)
        self._idle: deque[Http1Connection] = deque()
        self._idle_s = idle_s
        self._sweep: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def request(self, request: Outgoing) -> AsyncIterator[Answer]:
        """Send a request; leaving the context ends what is left of the exchange.

        Raises:
            ExchangeError: The server broke off or its answer is malformed.
            BuildernetError: No connection can be opened.
        """
        async with self._free:
            connection = self._take()
            kept = connection is not None
            connection = connection or await self._connect()
            try:
                try:
                    answer = await connection.exchange(request)
                except ExchangeError:
                    if not kept or request.method not in _REPEATABLE or request.body:
                        raise
                    connection.close()  # the server closed it meanwhile
                    connection = await self._connect()
                    answer = await connection.exchange(request)
                yield answer
            except BaseException:
                connection.close()
                raise
            if answer.content.is_eof() and connection.reusable:
                self._keep(connection)
            else:
                connection.close()

    def add(self, connection: Http1Connection) -> None:
        """Take a connection that was opened elsewhere."""
        self._keep(connection)

    def close(self) -> None:
        """Close what is idle."""
        if self._sweep is not None:
            self._sweep.cancel()
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> Http1Connection | None:
        while self._idle:
            connection = self._idle.pop()  # the youngest: the others may expire
            if connection.reusable:
                return connection
            connection.close()
        return None

    def _keep(self, connection: Http1Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(self._idle_s, self._expire)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = None
        while self._idle and self._idle[0].idle_since <= loop.time() - self._idle_s:
            self._idle.popleft().close()
        if self._idle:
            due = self._idle[0].idle_since + self._idle_s
            self._sweep = loop.call_at(due, self._expire)
