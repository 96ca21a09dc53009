# SPDX-License-Identifier: MIT
"""The decrypted side of a TLS channel, as asyncio protocols such as aiohttp's expect it."""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol


class Channel(Protocol):
    """What a transport needs of the `TlsChannel` below it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""

    def close(self) -> None:
        """Close once everything is sent."""

    def abort(self) -> None:
        """Cut at once."""


class TlsTransport(asyncio.Transport):
    """The decrypted side of a channel, as asyncio protocols expect it."""

    def __init__(
        self,
        channel: Channel,
        raw: asyncio.Transport,
        protocol: asyncio.BaseProtocol,
        *,
        extra: dict[str, object],
    ) -> None:
        super().__init__(extra)
        self._channel = channel
        self._raw = raw
        self._closing = False
        self._lost = False
        self.reading_paused = False
        self.set_protocol(protocol)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Answer what `start` was given, everything else as the TCP connection does."""
        own = super().get_extra_info(name)
        return self._raw.get_extra_info(name, default) if own is None else own

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the stream to another protocol."""
        self.app: asyncio.Protocol = protocol  # type: ignore[assignment]  # same stream protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who gets the stream."""
        return self.app

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if not self._closing:
            self._channel.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Encrypt and send, in as few TLS records as the pieces fit in."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """TLS streams are not closed by halves here."""
        return False

    def is_closing(self) -> bool:
        """Whether `close` or `abort` was called, or the connection is gone."""
        return self._closing or self._raw.is_closing()

    def close(self) -> None:
        """Close once everything is sent."""
        if not self._closing:
            self._closing = True
            self._channel.close()

    def abort(self) -> None:
        """Cut at once."""
        self._closing = True
        self._channel.abort()

    def pause_reading(self) -> None:
        """Stop taking from the peer."""
        self.reading_paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Take from the peer again."""
        self.reading_paused = False
        self._raw.resume_reading()

    def is_reading(self) -> bool:
        """Whether data is taken from the peer."""
        return not self.reading_paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol is told to stop writing."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return the bytes not yet taken by the kernel."""
        return self._raw.get_write_buffer_size()

    def deliver(self, data: bytes) -> None:
        """Give decrypted bytes to the protocol (called by the channel)."""
        self.app.data_received(data)

    def end(self) -> None:
        """Tell the protocol that the peer ended its stream (called by the channel)."""
        if not self._closing and not self.app.eof_received():
            self.close()

    def lost(self, exc: Exception | None) -> None:
        """Tell the protocol that the connection is gone (called by the channel)."""
        if not self._lost:
            self._lost = self._closing = True
            self.app.connection_lost(exc)
