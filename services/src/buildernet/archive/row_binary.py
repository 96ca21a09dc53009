# SPDX-License-Identifier: MIT
"""ClickHouse's `RowBinary`: the bytes of rows, each column after the other without separators.

Reference: ClickHouse documentation, "RowBinary" and "Data types binary encoding".
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from buildernet.archive.errors import RecordContentError

# Any: each column has its own type; the table's description decides.
Encoder = Callable[[Any], bytes]

_U64: Final = struct.Struct("<Q")
_TWO_U64: Final = struct.Struct("<QQ")
_TWO_U64_BIG: Final = struct.Struct(">QQ")
_ONE_BYTE_LENGTH: Final = 0x80
_PRESENT: Final = b"\x00"
_NULL: Final = b"\x01"

u32: Final[Encoder] = struct.Struct("<I").pack
u64: Final[Encoder] = _U64.pack
time_us: Final[Encoder] = struct.Struct("<q").pack
"""DateTime64(6): microseconds since 1970."""


def u8(value: int) -> bytes:
    """Return a UInt8 or a Bool."""
    return bytes((value,))


def u256(value: int) -> bytes:
    """Return a UInt256."""
    return value.to_bytes(32, "little")


def length(value: int) -> bytes:
    """Return a length as LEB128."""
    if value < _ONE_BYTE_LENGTH:
        return bytes((value,))
    out = bytearray()
    while value >= _ONE_BYTE_LENGTH:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def data(value: bytes) -> bytes:
    """Return a String; it holds any bytes."""
    return length(len(value)) + value


def text(value: str) -> bytes:
    """Return a String of text."""
    return data(value.encode())


def uuid(value: bytes) -> bytes:
    """Return a UUID: two 64-bit halves, each little-endian."""
    return _TWO_U64.pack(*_TWO_U64_BIG.unpack(value))


def fixed(size: int) -> Encoder:
    """Return the encoder of FixedString(size).

    The engine would take the following column's bytes for a value that is too short.
    """

    def encode(value: bytes) -> bytes:
        if len(value) != size:
            raise RecordContentError(f"a value has {len(value)} bytes, must have {size}")
        return value

    return encode


def nullable(inner: Encoder) -> Encoder:
    """Return the encoder of Nullable(…)."""

    def encode(value: Any) -> bytes:
        return _NULL if value is None else _PRESENT + inner(value)

    return encode


def array(inner: Encoder) -> Encoder:
    """Return the encoder of Array(…)."""

    def encode(values: Sequence[Any]) -> bytes:
        return length(len(values)) + b"".join(map(inner, values))

    return encode
