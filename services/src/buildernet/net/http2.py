# SPDX-License-Identifier: MIT
"""HTTP/2 over an asyncio transport: what server and client share. States and frames are `h2`'s.

Memory is bounded by windows: what a peer may send before its data is read, per stream and per
connection. Time is bounded by a budget of frames that cost work and carry nothing (resets, pings,
settings, empty data): whoever exceeds it loses the connection.

Reference: RFC 9113; CVE-2023-44487 (rapid reset), CVE-2019-9512 and -9515 to -9518 (floods),
CVE-2024-27316 (continuation flood, bounded by h2), CVE-2025-8671 (resets provoked in the server).
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from aiohttp import StreamReader
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingReceived,
    PriorityUpdated,
    RemoteSettingsChanged,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from buildernet.net.errors import ExchangeError

MAX_STREAMS: Final = 100
"""Requests at once on a connection; RFC 9113 recommends no fewer."""

MAX_HEADER_LIST_BYTES: Final = 32 * 1024
"""All headers of a message, 32 bytes of each added; h2 refuses a larger list unread."""

STREAM_WINDOW_BYTES: Final = 256 * 1024
"""Sent on a stream before we read it."""

CONNECTION_WINDOW_BYTES: Final = 1024 * 1024
"""Sent on all streams together before we read them."""

READ_BUFFER_BYTES: Final = 32 * 1024
"""Of a body; twice as much stops the stream's window."""

MAX_FRAME_BYTES: Final = 64 * 1024
"""Frames we take: four times the default costs a third of the time for large bodies."""

FLUSH_BYTES: Final = 64 * 1024
"""Of frames handed to TLS at once."""

NUISANCE_BUDGET: Final = 400
"""Frames that carry nothing, before a connection is cut."""

NUISANCE_REFILL_PER_S: Final = 20.0
"""An honest client cancels or pings far less in the long run."""

# At its debug level hpack writes every header down, and takes most of the time for it.
logging.getLogger("hpack").setLevel(logging.WARNING)

_NUISANCE: Final = (PingReceived, PriorityUpdated, RemoteSettingsChanged, StreamReset)


class _States(H2Connection):
    """h2 remembers how closed streams ended; its default is 65,536 of them for a connection."""

    MAX_CLOSED_STREAMS = 1024


class Http2Stream:
    """One request and its answer: the body that arrives, and the window of the one that is sent.

    It is also what the `StreamReader` of the arriving body tells to stop and go on.
    """

    connected = True

    def __init__(self, connection: "Http2Connection", number: int) -> None:
        self.connection = connection
        self.number = number
        self.body = StreamReader(
            self,  # type: ignore[arg-type]  # of its protocol it needs what is below
            READ_BUFFER_BYTES,
            loop=asyncio.get_running_loop(),
        )
        self.window = asyncio.Event()
        self.error: ExchangeError | None = None
        self._reading_paused = False
        self._unacknowledged = 0

    def pause_reading(self) -> None:
        """Let the window of the stream run out."""
        self._reading_paused = True

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: ARG002
        """Open the window again by what was read."""
        self._reading_paused = False
        size, self._unacknowledged = self._unacknowledged, 0
        self.connection.acknowledge(self.number, size)

    def take(self, event: DataReceived) -> None:
        """Pass a piece of the body on."""
        size = event.flow_controlled_length or 0
        if event.data:
            self.body.feed_data(bytes(event.data))
        if self._reading_paused:
            self._unacknowledged += size
        else:
            self.connection.acknowledge(self.number, size)

    def end(self, error: ExchangeError | None = None) -> None:
        """The stream is over; with an error it broke off."""
        if error is None:
            self.body.feed_eof()
            return
        self.error = self.error or error
        self.window.set()
        if not self.body.is_eof():
            self.body.set_exception(error)


class Http2Connection(asyncio.Protocol):
    """The protocol of an HTTP/2 connection, one side or the other."""

    def __init__(self, *, client: bool) -> None:
        self.transport: asyncio.Transport | None = None
        self.streams: dict[int, Http2Stream] = {}
        self.closing = False
        self.last_heard = 0.0
        config = H2Configuration(client_side=client, header_encoding=False)
        self.h2 = _States(config)
        self.h2.local_settings = Settings(
            client=client,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
                SettingCodes.MAX_FRAME_SIZE: MAX_FRAME_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST_BYTES,
            },
        )
        # h2 would take over what it read here only when the other side changes it later.
        self.h2.decoder.max_header_list_size = MAX_HEADER_LIST_BYTES
        self.h2.max_inbound_frame_size = MAX_FRAME_BYTES
        self._budget = float(NUISANCE_BUDGET)
        self._receiving = False
        self._writable = asyncio.Event()
        self._writable.set()

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say which limits hold."""
        self.transport = transport  # type: ignore[assignment]  # a stream protocol gets a Transport
        self.last_heard = asyncio.get_running_loop().time()
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(CONNECTION_WINDOW_BYTES - 65535)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        self._refill()
        try:
            events = self.h2.receive_data(data)
        except ProtocolError:
            self.drop()  # h2 has said what was wrong
            return
        self._receiving = True
        for event in events:
            self._count(event)
            if self._budget < 0:
                self.h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
                self.drop()
                break
            self.handle(event)
        self._receiving = False
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """End every stream."""
        self.closing = True
        self.transport = None
        self._writable.set()
        error = ExchangeError(f"connection lost: {exc or 'closed'}")
        for stream in tuple(self.streams.values()):
            self.broken(stream, error)
        self.streams.clear()

    def pause_writing(self) -> None:
        """Let senders wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let senders go on."""
        self._writable.set()

    # --- for server and client ----------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """Act on what both sides do the same way."""
        stream = self.streams.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, DataReceived):
            if stream is not None:
                stream.take(event)
            else:  # of a stream that is over; the connection's window is owed nevertheless
                self.acknowledge(event.stream_id or 0, event.flow_controlled_length or 0)
        elif isinstance(event, WindowUpdated | RemoteSettingsChanged):
            for one in [stream] if stream is not None else self.streams.values():
                one.window.set()
        elif isinstance(event, StreamEnded) and stream is not None:
            stream.end()
        elif isinstance(event, StreamReset) and stream is not None:
            self.broken(stream, ExchangeError("the other side reset the stream"))
        elif isinstance(event, ConnectionTerminated):
            self.drained(event)

    def broken(self, stream: Http2Stream, error: ExchangeError) -> None:
        """End a stream that did not come to its end."""
        self.streams.pop(stream.number, None)
        stream.end(error)

    def drained(self, event: ConnectionTerminated) -> None:  # noqa: ARG002  # a client looks at it
        """The other side takes no further streams."""
        self.closing = True

    def acknowledge(self, number: int, size: int) -> None:
        """Open the windows by what was read."""
        if size and self.transport is not None:
            try:
                self.h2.acknowledge_received_data(size, number)
            except ProtocolError:  # the connection is being closed
                return
            self.flush()

    async def send_body(self, stream: Http2Stream, data: bytes, *, end: bool = False) -> None:
        """Send a piece of a body as the other side's windows allow.

        Raises:
            ExchangeError: The stream or the connection broke off.
        """
        rest = memoryview(data)
        unflushed = 0
        while rest or end:
            self.require_open(stream)
            room = self.h2.local_flow_control_window(stream.number)
            if rest and room <= 0:
                self.flush()
                stream.window.clear()
                await stream.window.wait()
                continue
            piece = rest[: min(room, self.h2.max_outbound_frame_size)]
            rest = rest[len(piece) :]
            last = end and not rest
            self.h2.send_data(stream.number, bytes(piece), end_stream=last)
            unflushed += len(piece)
            if unflushed >= FLUSH_BYTES or not rest:
                unflushed = 0
                self.flush()
                await self.writable()
            if last:
                return

    def send_headers(
        self, stream: Http2Stream, headers: Iterable[tuple[str, str]], *, end: bool
    ) -> None:
        """Send the headers of a message.

        Raises:
            ExchangeError: The stream or the connection broke off, or a header cannot be sent.
        """
        self.require_open(stream)
        block = [
            (name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape"))
            for name, value in headers
        ]
        try:
            self.h2.send_headers(stream.number, block, end_stream=end)
        except ProtocolError as exc:
            raise ExchangeError(f"headers cannot be sent: {exc}") from exc

    def require_open(self, stream: Http2Stream) -> None:
        """Raise `ExchangeError` when a stream broke off."""
        if stream.error is not None:
            raise stream.error
        if self.transport is None:
            raise ExchangeError("connection lost")

    async def writable(self) -> None:
        """Wait until the transport takes more."""
        if not self._writable.is_set():
            await self._writable.wait()

    def reset(self, stream: Http2Stream, code: ErrorCodes) -> None:
        """End a stream early."""
        if self.streams.pop(stream.number, None) is None or self.transport is None:
            return
        try:
            self.h2.reset_stream(stream.number, code)
        except ProtocolError:  # closed meanwhile
            return
        self.flush()

    def flush(self) -> None:
        """Hand over what is to be sent."""
        if self._receiving or self.transport is None:
            return
        if data := self.h2.data_to_send():
            self.transport.write(data)

    def drop(self) -> None:
        """Close once everything is sent; a peer that does not read is cut by its idle time."""
        self.closing = True
        self._receiving = False
        self.flush()
        if self.transport is not None:
            self.transport.close()

    def _refill(self) -> None:
        now = asyncio.get_running_loop().time()
        earned = (now - self.last_heard) * NUISANCE_REFILL_PER_S
        self._budget = min(self._budget + earned, NUISANCE_BUDGET)
        self.last_heard = now

    def _count(self, event: Event) -> None:
        empty = isinstance(event, DataReceived) and not event.data and event.stream_ended is None
        if empty or isinstance(event, _NUISANCE):
            self._budget -= 1
