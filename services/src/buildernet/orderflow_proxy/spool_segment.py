# SPDX-License-Identifier: MIT
"""The files of a spool as bytes: segments of frames, and the acknowledged position.

A segment begins with its stream (16 random bytes) and the number of its first record; then frames
follow: length, CRC-32, payload. The CRC covers the stream and the record's number as well, so that
bytes of another place are no frame. Whatever was cut or altered, what stands before it is read and
nothing that was not written is.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from buildernet.base.errors import BuildernetError
from buildernet.net.archive_stream import MAX_BATCH_BYTES, STREAM_BYTES

MAX_RECORD_BYTES: Final = MAX_BATCH_BYTES - 4096
"""A record and its envelope fit one batch."""

_MAGIC: Final = b"BNSPOOL1"
_HEADER: Final = struct.Struct(f"<8s{STREAM_BYTES}sQ")
_FRAME: Final = struct.Struct("<II")
_NUMBER: Final = struct.Struct("<Q")
_POSITION: Final = struct.Struct(f"<{STREAM_BYTES}sQQQ")
_CRC: Final = struct.Struct("<I")

HEADER_BYTES: Final = _HEADER.size + _CRC.size
FRAME_BYTES: Final = _FRAME.size
"""In front of each payload."""


class RecordTooLargeError(BuildernetError):
    """A record can never be kept: it has more than `MAX_RECORD_BYTES`."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record begins."""

    stream: bytes
    segment: int
    offset: int
    number: int


@dataclass(frozen=True, slots=True)
class SegmentContent:
    """What can be read of a segment."""

    stream: bytes
    first: int
    """Number of the first record."""
    records: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes up to the end of the last whole frame."""
        return HEADER_BYTES + sum(FRAME_BYTES + len(record) for record in self.records)

    def is_boundary(self, position: Position) -> bool:
        """Whether a position is where one of the records begins, or the end of the last."""
        count = position.number - self.first
        if position.stream != self.stream or not 0 <= count <= len(self.records):
            return False
        before = sum(FRAME_BYTES + len(record) for record in self.records[:count])
        return position.offset == HEADER_BYTES + before


def encode_header(stream: bytes, first: int) -> bytes:
    """Return the start of a segment."""
    return _sealed(_HEADER.pack(_MAGIC, stream, first))


def encode_frame(stream: bytes, number: int, payload: bytes) -> bytes:
    """Return a record's frame."""
    return _FRAME.pack(len(payload), _frame_crc(stream, number, payload)) + payload


def parse_segment(data: bytes) -> SegmentContent | None:
    """Read a segment up to its first unreadable frame; None without a readable header."""
    head = _unsealed(data[:HEADER_BYTES], _HEADER.size)
    if head is None:
        return None
    magic, stream, first = _HEADER.unpack(head)
    if magic != _MAGIC:
        return None
    return SegmentContent(stream, first, tuple(parse_frames(data[HEADER_BYTES:], stream, first)))


def parse_frames(
    data: bytes, stream: bytes, number: int, *, most: int | None = None
) -> list[bytes]:
    """Return the payloads of whole frames from the start of the data.

    Args:
        data: Begins with a frame.
        stream: The segment's.
        number: Of the first record in the data.
        most: So many at most; None for all.
    """
    found: list[bytes] = []
    at = 0
    while at + FRAME_BYTES <= len(data) and len(found) != most:
        length, crc = _FRAME.unpack_from(data, at)
        if length > MAX_RECORD_BYTES:
            break
        payload = data[at + FRAME_BYTES : at + FRAME_BYTES + length]
        if len(payload) < length or _frame_crc(stream, number + len(found), payload) != crc:
            break
        found.append(payload)
        at += FRAME_BYTES + length
    return found


def frame_length(data: bytes) -> int:
    """Return how long the frame at the start of the data claims to be; 0 if that cannot be."""
    if len(data) < FRAME_BYTES:
        return 0
    length: int = _FRAME.unpack_from(data)[0]
    return FRAME_BYTES + length if length <= MAX_RECORD_BYTES else 0


def encode_position(position: Position) -> bytes:
    """Return the bytes of a position."""
    return _sealed(
        _POSITION.pack(position.stream, position.segment, position.offset, position.number)
    )


def parse_position(data: bytes) -> Position | None:
    """Read a position; None when it was cut or altered."""
    body = _unsealed(data, _POSITION.size)
    return None if body is None else Position(*_POSITION.unpack(body))


def _frame_crc(stream: bytes, number: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(stream + _NUMBER.pack(number)))


def _sealed(body: bytes) -> bytes:
    return body + _CRC.pack(zlib.crc32(body))


def _unsealed(data: bytes, size: int) -> bytes | None:
    if len(data) != size + _CRC.size:
        return None
    body = data[:size]
    return body if _CRC.unpack(data[size:])[0] == zlib.crc32(body) else None


def require_size(record: bytes) -> None:
    """Raise `RecordTooLargeError` if no spool takes a record as large."""
    if len(record) > MAX_RECORD_BYTES:
        raise RecordTooLargeError(f"a record of {len(record)} bytes, at most {MAX_RECORD_BYTES}")
