# SPDX-License-Identifier: MIT
"""Bounded little-endian reads that name what was missing."""

import struct
from typing import Final

from buildernet.attestation.errors import QuoteFormatError

_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")


class Reader:
    """Takes fields off the front of bytes; every failure is a `QuoteFormatError`."""

    __slots__ = ("_data", "_what", "offset")

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self.offset = 0

    def take(self, count: int, field: str) -> bytes:
        """Return the next `count` bytes.

        Raises:
            QuoteFormatError: fewer are left.
        """
        start, end = self.offset, self.offset + count
        if end > len(self._data):
            raise QuoteFormatError(
                f"{self._what} ends inside {field}: needs {count} bytes at {start},"
                f" has {len(self._data) - start}",
                hint="the file is cut short or not a TDX quote",
            )
        self.offset = end
        return self._data[start:end]

    def u16(self, field: str) -> int:
        """Return the next 16-bit number."""
        return int(_U16.unpack(self.take(2, field))[0])

    def u32(self, field: str) -> int:
        """Return the next 32-bit number."""
        return int(_U32.unpack(self.take(4, field))[0])

    def sized(self, field: str) -> bytes:
        """Return what a 32-bit length in front announces."""
        return self.take(self.u32(f"the length of {field}"), field)

    def rest(self) -> bytes:
        """Return everything that is left."""
        return self.take(len(self._data) - self.offset, "the rest")

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            QuoteFormatError: bytes remain that no field describes.
        """
        left = len(self._data) - self.offset
        if left:
            raise QuoteFormatError(f"{self._what} has {left} bytes that no field describes")
