# SPDX-License-Identifier: MIT
"""One HTTP/1.1 client connection that is kept alive: one request at a time, one callback each.

Made for sending many small requests to few places. Per request it costs one write, one timer and
one callback; a general client costs several times that (docs/protocols/orderflow-delivery.md). It
follows no redirect, keeps no cookie, decompresses nothing and sends what it is given.

`net.http1_client` stays beside it: that one passes bodies of any length through while they arrive,
here an answer is small and whole before anyone sees it (docs/decisions/0017).

Reference: RFC 9112 sections 4, 6 and 7.1.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from buildernet.net.errors import KeptConnectionError

MAX_HEAD_BYTES: Final = 16 * 1024
"""Status line and headers of an answer; ours have 200 bytes, a proxy adds as much."""

MAX_INTERIM: Final = 8
"""Answers of 1xx before the one that counts; one at most is of use."""

MAX_CHUNKS: Final = 16_384
"""Of one body: in chunks of 640 bytes it is still 10 MiB. A few bytes in each would cost us many
times what they cost whoever sends them."""

_LINE_END: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"
_NO_BODY: Final = frozenset({204, 304})
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")
_CHUNK_LINE_BYTES: Final = 10
"""Eight digits and the line's end."""

_Head = tuple[bytes, int, dict[bytes, bytes]]
"""Version, status, headers by their names in lower case."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes


Done = Callable[[Answer | KeptConnectionError], None]


class KeepAliveConnection(asyncio.Protocol):
    """The protocol of one connection, plain or below asyncio's TLS."""

    def __init__(
        self, *, max_body_bytes: int, on_lost: Callable[["KeepAliveConnection"], None]
    ) -> None:
        """Prepare a connection to come.

        Args:
            max_body_bytes: An answer with a longer body ends the connection.
            on_lost: Called once when the connection is gone, after `Done` of a running request.
        """
        self.served = 0
        self._reader = AnswerReader(max_body_bytes=max_body_bytes)
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._done: Done | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._gone = False

    @property
    def usable(self) -> bool:
        """Whether a request may be sent now."""
        transport = self._transport
        return (
            not self._gone
            and self._done is None
            and transport is not None
            and not transport.is_closing()
        )

    def send(self, request: bytes, *, timeout_s: float, done: Done) -> None:
        """Send a request, head and body.

        Args:
            request: All its bytes.
            timeout_s: The answer must be complete by then; the connection ends otherwise.
            done: Gets the answer, or why there is none; called exactly once, never from within
                this call.

        Raises:
            RuntimeError: The connection is not `usable`.
        """
        if not self.usable or self._transport is None:
            raise RuntimeError("a request needs an idle, open connection")
        self._done = done
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(timeout_s, self._fail, "no answer in time", True)
        self._transport.write(request)

    def close(self) -> None:
        """End the connection once what was written is sent; a running request fails."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once; a running request fails."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection."""
        self._transport = transport  # type: ignore[assignment]  # a stream protocol gets a Transport

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        if self._done is None:
            self.abort()  # nobody asked
            return
        try:
            parsed = self._reader.feed(data)
        except KeptConnectionError as exc:
            self._fail(exc.message, False)
            return
        if parsed is not None:
            answer, keep = parsed
            self._finish(answer, keep=keep)

    def eof_received(self) -> None:
        """Close: an answer without a length could not be told from one that was cut."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits, then the owner."""
        self._gone = True
        reason = f"connection lost: {exc}" if exc else "connection closed"
        done, self._done = self._done, None
        self._stop_timer()
        if done is not None:
            done(
                KeptConnectionError(
                    reason, reused=self.served > 0, silent=not self._reader.has_begun
                )
            )
        self._on_lost(self)

    # --- inside -------------------------------------------------------------------------------

    def _finish(self, answer: Answer, *, keep: bool) -> None:
        done, self._done = self._done, None
        self._stop_timer()
        self.served += 1
        if not keep:
            self.close()
        if done is not None:
            done(answer)

    def _fail(self, reason: str, timed_out: bool) -> None:
        done, self._done = self._done, None
        self._stop_timer()
        self.abort()
        if done is not None:
            done(KeptConnectionError(reason, timed_out=timed_out))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class AnswerReader:
    """Reads the answers of one connection, one after the other, each byte of them once."""

    def __init__(self, *, max_body_bytes: int) -> None:
        """Wait for the first answer.

        Args:
            max_body_bytes: Most bytes of a body.
        """
        self._limit = max_body_bytes
        self._buffer = bytearray()
        self._forget()

    @property
    def has_begun(self) -> bool:
        """Whether a part of an answer has arrived, but not all of it."""
        return self._head is not None or bool(self._buffer or self._interim)

    def feed(self, data: bytes) -> tuple[Answer, bool] | None:
        """Take what arrived.

        Returns:
            The answer and whether the connection may carry another; None while it is incomplete.

        Raises:
            KeptConnectionError: Not HTTP/1.x, over a limit, without a length, or longer than
                announced. The connection is of no more use.
        """
        self._buffer += data
        if self._head is None and not self._read_head():
            return None
        if not (self._read_chunks() if self._length is None else self._read_body(self._length)):
            return None
        if self._buffer:
            raise KeptConnectionError("answer is longer than it says")
        version, status, headers = self._head or (b"", 0, {})
        keep = version == b"HTTP/1.1" and headers.get(b"connection", b"").lower() != b"close"
        answer = Answer(status, bytes(self._content))
        self._forget()
        return answer, keep

    def _forget(self) -> None:
        self._head: _Head | None = None
        self._length: int | None = 0
        """Of the body; None: it comes in chunks."""
        self._interim = 0
        self._chunks = 0
        self._content = bytearray()

    def _read_head(self) -> bool:
        buffer = self._buffer
        while True:
            end = buffer.find(_HEAD_END, 0, MAX_HEAD_BYTES + len(_HEAD_END))
            if end < 0:
                if len(buffer) > MAX_HEAD_BYTES:
                    raise KeptConnectionError(f"answer's head has more than {MAX_HEAD_BYTES} bytes")
                return False
            head = _parse_head(bytes(buffer[:end]))
            del buffer[: end + len(_HEAD_END)]
            if head[1] >= 200:
                break
            self._interim += 1  # 1xx comes before the answer
            if self._interim > MAX_INTERIM:
                raise KeptConnectionError("answer never comes, only 1xx")
        self._head, self._length = head, _body_length(head, limit=self._limit)
        return True

    def _read_body(self, length: int) -> bool:
        if len(self._buffer) < length:
            return False
        self._content += self._buffer[:length]
        del self._buffer[:length]
        return True

    def _read_chunks(self) -> bool:
        """Take whole chunks; True after the last one."""
        buffer, content, at = self._buffer, self._content, 0
        try:
            while True:
                end = buffer.find(_LINE_END, at, at + _CHUNK_LINE_BYTES)
                if end < 0:
                    if len(buffer) - at >= _CHUNK_LINE_BYTES:
                        raise KeptConnectionError("answer has an endless chunk size")
                    return False
                size, start = _chunk_size(bytes(buffer[at:end])), end + len(_LINE_END)
                if len(content) + size > self._limit:
                    raise KeptConnectionError(f"answer has more than {self._limit} bytes")
                stop = start + size
                if len(buffer) < stop + len(_LINE_END):
                    return False
                if buffer[stop : stop + len(_LINE_END)] != _LINE_END:
                    raise KeptConnectionError("answer has a chunk without its end, or trailers")
                content += buffer[start:stop]
                at = stop + len(_LINE_END)
                if not size:
                    return True
                self._chunks += 1
                if self._chunks > MAX_CHUNKS:
                    raise KeptConnectionError(f"answer has more than {MAX_CHUNKS} chunks")
        finally:
            del buffer[:at]


def _parse_head(head: bytes) -> _Head:
    first, *lines = head.split(_LINE_END)
    version, _, rest = first.partition(b" ")
    code = rest[:3]
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or not code.isdigit() or rest[3:4] not in b" ":
        raise KeptConnectionError(f"answer begins with {first[:40]!r}, not with an HTTP status")
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            raise KeptConnectionError(f"answer has the header line {line[:40]!r}")
        name, value = name.lower(), value.strip()
        if headers.setdefault(name, value) != value and name in _FRAMING:
            raise KeptConnectionError(f"answer contradicts itself in {name!r}")
    return version, int(code), headers


def _body_length(head: _Head, *, limit: int) -> int | None:
    _, status, headers = head
    if status in _NO_BODY:
        return 0
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked":
            raise KeptConnectionError(f"answer is coded as {coding[:40]!r}")
        return None
    text = headers.get(b"content-length", b"")
    if not text.isdigit() or len(text) > 15:
        raise KeptConnectionError("answer has no length")
    if (size := int(text)) > limit:
        raise KeptConnectionError(f"answer has {size} bytes, at most {limit} are taken")
    return size


def _chunk_size(text: bytes) -> int:
    if _CHUNK_SIZE.fullmatch(text) is None:  # extensions: nobody sends them, nor trailers
        raise KeptConnectionError(f"answer has the chunk size {text!r}")
    return int(text, 16)
