# SPDX-License-Identifier: MIT
"""What bodies may cost while they arrive and until they are answered: memory, and decompression."""

import zlib
from typing import ClassVar, Final

from buildernet.net.jsonrpc import INTERNAL_ERROR, INVALID_REQUEST, JsonRpcError

MAX_BYTES_AT_ONCE: Final = 256 * 1024 * 1024
"""Of all bodies of both sides together: 25 of the largest by default. With what parsing makes of
them this is half of the unit's MemoryMax."""

FREE_BYTES: Final = 16 * 1024
"""Of each body, not counted: most orders are no larger, and connections bound their number."""

_GZIP: Final = 16 + zlib.MAX_WBITS


class BodiesFullError(JsonRpcError):
    """The bodies under way take all the memory that they may; this one can come again."""

    code: ClassVar[int] = INTERNAL_ERROR
    status = 503


class CompressionError(JsonRpcError):
    """A body is declared as gzip and is not, or not whole."""

    code: ClassVar[int] = INVALID_REQUEST


class BodyBudget:
    """The bytes of all bodies under way in this process."""

    def __init__(self, limit: int = MAX_BYTES_AT_ONCE) -> None:
        self._left = limit

    def take(self, count: int) -> None:
        """Take room for bytes that arrived.

        Raises:
            BodiesFullError: There is not so much.
        """
        if count > self._left:
            raise BodiesFullError("too many large requests at once")
        self._left -= count

    def give(self, count: int) -> None:
        """Give room back."""
        self._left += count


class Gunzip:
    """Decompresses one body as it arrives."""

    def __init__(self, *, limit: int) -> None:
        """Start.

        Args:
            limit: A piece comes out at most one byte longer, which its taker refuses.
        """
        self._stream = zlib.decompressobj(_GZIP)
        self._limit = limit

    def feed(self, piece: bytes) -> bytes:
        """Return what a piece holds.

        Raises:
            CompressionError: It is not gzip, or goes on after its end.
        """
        try:
            data = self._stream.decompress(piece, self._limit + 1)
        except zlib.error as exc:
            raise CompressionError("Invalid Request: body is not gzip") from exc
        if self._stream.unused_data:
            raise CompressionError("Invalid Request: body goes on after its gzip stream")
        return data

    def finish(self) -> None:
        """Check that the stream is whole.

        Raises:
            CompressionError: It is not.
        """
        if not self._stream.eof:
            raise CompressionError("Invalid Request: gzip stream is cut short")
