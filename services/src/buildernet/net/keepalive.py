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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from buildernet.net.errors import KeptConnectionError

MAX_HEAD_BYTES: Final = 16 * 1024
"""Status line and headers of an answer; ours have 200 bytes, a proxy adds as much."""

_HEAD_END: Final = b"\r\n\r\n"
_NO_BODY: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes
    retry_after: str
    """The header's text, empty without one."""


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
        self._max_body_bytes = max_body_bytes
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
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
        self._buffer += data
        try:
            parsed = parse_answer(self._buffer, max_body_bytes=self._max_body_bytes)
        except KeptConnectionError as exc:
            self._fail(exc.message, False)
            return
        if parsed is not None:
            answer, keep = parsed
            self._buffer.clear()
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
            done(KeptConnectionError(reason, reused=self.served > 0, silent=not self._buffer))
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


def parse_answer(data: bytes | bytearray, *, max_body_bytes: int) -> tuple[Answer, bool] | None:
    """Read one answer.

    Args:
        data: Everything that arrived since the request.
        max_body_bytes: Most bytes of its body.

    Returns:
        The answer and whether the connection may carry another; None while it is incomplete.

    Raises:
        KeptConnectionError: Not HTTP/1.x, over a limit, without a length, or longer than announced.
    """
    while True:
        end = data.find(_HEAD_END, 0, MAX_HEAD_BYTES + len(_HEAD_END))
        if end < 0:
            if len(data) > MAX_HEAD_BYTES:
                raise KeptConnectionError(f"answer's head has more than {MAX_HEAD_BYTES} bytes")
            return None
        head, body = bytes(data[:end]), bytes(data[end + len(_HEAD_END) :])
        version, status, headers = _parse_head(head)
        if status >= 200:
            break
        data = body  # 1xx comes before the answer
    keep = version == b"HTTP/1.1" and headers.get(b"connection", b"").lower() != b"close"
    content = _parse_body(body, status=status, headers=headers, limit=max_body_bytes)
    if content is None:
        return None
    retry_after = headers.get(b"retry-after", b"")[:64].decode("latin-1")
    return Answer(status, content, retry_after), keep


def _parse_head(head: bytes) -> tuple[bytes, int, dict[bytes, bytes]]:
    first, *lines = head.split(b"\r\n")
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


_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


def _parse_body(
    body: bytes, *, status: int, headers: dict[bytes, bytes], limit: int
) -> bytes | None:
    if status in _NO_BODY:
        size = 0
    elif (coding := headers.get(b"transfer-encoding")) is not None:
        if coding.lower() != b"chunked":
            raise KeptConnectionError(f"answer is coded as {coding[:40]!r}")
        return _parse_chunks(body, limit=limit)
    else:
        text = headers.get(b"content-length", b"")
        if not text.isdigit() or len(text) > 15:
            raise KeptConnectionError("answer has no length")
        size = int(text)
    if size > limit:
        raise KeptConnectionError(f"answer has {size} bytes, at most {limit} are taken")
    if len(body) > size:
        raise KeptConnectionError("answer is longer than it says")
    return body if len(body) == size else None


def _parse_chunks(data: bytes, *, limit: int) -> bytes | None:
    content = bytearray()
    at = 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            if len(data) - at > 1024:
                raise KeptConnectionError("answer has an endless chunk size")
            return None
        text = data[at:end].partition(b";")[0].strip()
        try:
            size = int(text, 16) if text.isalnum() and len(text) <= 8 else -1
        except ValueError:
            size = -1
        if size < 0:
            raise KeptConnectionError(f"answer has the chunk size {text[:20]!r}")
        at = end + 2
        if size == 0:  # trailers are not sent by anyone we know: none, or refuse
            if len(data) < at + 2:
                return None
            if data[at:] != b"\r\n":
                raise KeptConnectionError("answer has trailers, or is longer than it says")
            return bytes(content)
        if len(content) + size > limit:
            raise KeptConnectionError(f"answer has more than {limit} bytes")
        if len(data) < at + size + 2:
            return None
        content += data[at : at + size]
        if data[at + size : at + size + 2] != b"\r\n":
            raise KeptConnectionError("answer has a chunk without its end")
        at += size + 2
