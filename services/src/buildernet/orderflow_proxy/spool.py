# SPDX-License-Identifier: MIT
"""Records on disk between the moment a node takes them and the archive's acknowledgement.

A spool is a folder of segments, files that only grow (`spool_segment`). A spool that is opened
begins a new stream in a new segment: whatever a crash took from the old one, no number is given to
two records.

Appending writes to the kernel at once, so a killed process loses nothing; `take_unsynced` is for
what shall survive the machine. Reading goes from the oldest segment on, and `acknowledge` deletes
what is behind. The acknowledged position is written to disk from time to time only: after a crash
some records are sent again, with their old numbers.

One thread does everything but the syncing itself.
"""

import fcntl
import logging
import os
import re
import secrets
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from buildernet.base.errors import BuildernetError
from buildernet.net.archive_stream import STREAM_BYTES
from buildernet.orderflow_proxy.spool_segment import (
    FRAME_BYTES,
    HEADER_BYTES,
    MAX_RECORD_BYTES,
    Position,
    encode_frame,
    encode_header,
    encode_position,
    frame_length,
    parse_frames,
    parse_position,
    parse_segment,
    require_size,
)

SEGMENT_BYTES: Final = 16 << 20
"""A segment is closed above this size; space comes back in such steps."""

_NAME: Final = re.compile(r"(\d{12})\.spool")
_POSITION_NAME: Final = "acknowledged"
_LOCK_NAME: Final = "lock"
_MAX_POSITION_BYTES: Final = 4096
_MAX_SEGMENT_FILE_BYTES: Final = SEGMENT_BYTES + MAX_RECORD_BYTES + (1 << 20)

_log = logging.getLogger(__name__)


class SpoolError(BuildernetError):
    """The spool's folder cannot be used."""


class SpoolFullError(BuildernetError):
    """A record cannot be kept now; nothing of it was."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one stream."""

    stream: bytes
    first: int
    records: tuple[bytes, ...]
    end: Position
    """Right behind the last one: what to acknowledge."""


@dataclass(slots=True)
class _Segment:
    index: int
    path: Path
    stream: bytes
    first: int
    count: int
    size: int


class Spool:
    """The folder."""

    def __init__(self, folder: Path, *, max_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open the folder, making it when it is missing.

        Args:
            folder: Used by one process at a time.
            max_bytes: What all segments together may take.
            segment_bytes: When a segment is closed.

        Raises:
            SpoolError: The folder or a file in it cannot be used.
        """
        self._folder = folder
        self.max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._segments: deque[_Segment] = deque()
        self._stream = secrets.token_bytes(STREAM_BYTES)
        self._next_number = 0
        self._descriptor = -1
        self._unsynced: list[int] = []
        self._fresh = False
        self._acknowledged = Position(self._stream, 0, HEADER_BYTES, 0)
        self.used_bytes = 0
        """Bytes of all segments, acknowledged records of the oldest one included."""
        self.lost_bytes = 0
        """What could not be read any more, at opening or since."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _lock(folder / _LOCK_NAME)
            self._recover()
        except OSError as exc:
            raise SpoolError(f"cannot use the spool {folder}: {exc.strerror or exc}") from exc

    @property
    def waiting(self) -> int:
        """Records not acknowledged."""
        if not self._segments:
            return 0
        done = self._acknowledged.number - self._segments[0].first
        return sum(segment.count for segment in self._segments) - done

    @property
    def waiting_bytes(self) -> int:
        """Bytes on disk of the records not acknowledged."""
        if not self._segments:
            return 0
        headers = HEADER_BYTES * len(self._segments)
        return self.used_bytes - headers - (self._acknowledged.offset - HEADER_BYTES)

    def append(self, record: bytes) -> None:
        """Keep a record; the kernel has it when this returns.

        Raises:
            SpoolFullError: The limit or the disk is reached.
            RecordTooLargeError: See there.
        """
        require_size(record)
        frame = encode_frame(self._stream, self._next_number, record)
        if self.used_bytes + len(frame) + HEADER_BYTES > self.max_bytes:
            raise SpoolFullError(f"the spool is full with {self.used_bytes} bytes")
        try:
            segment = self._segment_for(len(frame))
            _write_whole(self._descriptor, frame, at=segment.size)
        except OSError as exc:
            raise SpoolFullError(f"cannot write to the spool: {exc.strerror or exc}") from exc
        segment.size += len(frame)
        segment.count += 1
        self.used_bytes += len(frame)
        self._next_number += 1
        self._fresh = True

    def take_unsynced(self) -> list[int]:
        """Return descriptors that hold what was appended since the last call.

        They belong to the caller: `sync_descriptors` may take them in another thread.
        """
        taken, self._unsynced = self._unsynced, []
        if self._fresh:
            taken.append(os.dup(self._descriptor))
            self._fresh = False
        return taken

    def read(self, *, max_records: int, max_bytes: int) -> Batch | None:
        """Return the oldest records that are not acknowledged; at least one, unless there is none.

        What was altered on disk since it was written is given up, and counted.

        Args:
            max_records: At most so many.
            max_bytes: Of their frames together; the first one may be larger.

        Raises:
            SpoolError: A segment cannot be read now.
        """
        while self._segments:
            segment, start = self._segments[0], self._acknowledged
            if start.offset < segment.size:
                data = self._data(segment, start, max_bytes)
                records = parse_frames(data, segment.stream, start.number, most=max_records)
                if records:
                    return _batch(segment, start, records)
                self._give_up(segment, start)
            elif len(self._segments) == 1:
                return None
            else:
                self._drop_first()
        return None

    def acknowledge(self, position: Position) -> None:
        """Forget the records before a position that `read` returned."""
        self._acknowledged = position
        if len(self._segments) > 1 and position.offset >= self._segments[0].size:
            self._drop_first()

    def save_position(self) -> None:
        """Write down what is acknowledged, so that a restart does not send it again.

        Raises:
            SpoolError: It cannot be written.
        """
        temporary = self._folder / (_POSITION_NAME + ".new")
        try:
            temporary.write_bytes(encode_position(self._acknowledged))
            temporary.replace(self._folder / _POSITION_NAME)
        except OSError as exc:
            raise SpoolError(f"cannot write {temporary}: {exc.strerror or exc}") from exc

    def close(self) -> None:
        """Sync, write the position down, and close.

        Raises:
            SpoolError: The disk refused.
        """
        try:
            sync_descriptors(self.take_unsynced())
            self.save_position()
        finally:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            os.close(self._lock)

    def _segment_for(self, size: int) -> _Segment:
        if self._descriptor >= 0:
            last = self._segments[-1]
            # A record larger than a segment has one of its own.
            if last.size + size <= self._segment_bytes or not last.count:
                return last
        return self._begin_segment()

    def _begin_segment(self) -> _Segment:
        previous = self._segments[-1].index if self._segments else self._acknowledged.segment
        index = previous + 1
        path = self._folder / f"{index:012d}.spool"
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        descriptor = -1
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            _write_whole(descriptor, encode_header(self._stream, self._next_number), at=0)
        except OSError:
            os.close(folder)
            if descriptor >= 0:
                os.close(descriptor)
                path.unlink()
            raise
        self._unsynced.append(folder)
        if self._descriptor >= 0:
            self._unsynced.append(self._descriptor)
        self._descriptor = descriptor
        segment = _Segment(index, path, self._stream, self._next_number, 0, HEADER_BYTES)
        if not self._segments:
            self._acknowledged = _start_of(segment)
        self._segments.append(segment)
        self.used_bytes += HEADER_BYTES
        return segment

    def _drop_first(self) -> None:
        """Delete the oldest of several segments."""
        gone = self._segments.popleft()
        self.used_bytes -= gone.size
        self._acknowledged = _start_of(self._segments[0])
        with suppress(OSError):  # a restart knows by the position that it is done with
            gone.path.unlink(missing_ok=True)

    def _give_up(self, segment: _Segment, start: Position) -> None:
        """Go on behind the unreadable rest of the oldest segment."""
        lost = segment.size - start.offset
        self.lost_bytes += lost
        _log.error("spool_damaged segment=%s bytes=%d", segment.path.name, lost)
        number = segment.first + segment.count
        self._acknowledged = Position(segment.stream, segment.index, segment.size, number)

    def _data(self, segment: _Segment, start: Position, max_bytes: int) -> bytes:
        left = segment.size - start.offset
        try:
            with segment.path.open("rb") as file:
                file.seek(start.offset)
                data = file.read(min(left, max_bytes))
                if (first := frame_length(data)) > len(data):
                    data += file.read(min(left, first) - len(data))
        except OSError as exc:
            raise SpoolError(f"cannot read {segment.path}: {exc.strerror or exc}") from exc
        return data

    def _recover(self) -> None:
        position = _read_position(self._folder / _POSITION_NAME)
        if position is not None:
            self._acknowledged = Position(
                self._stream, position.segment, HEADER_BYTES, self._next_number
            )
        for path in sorted(self._folder.glob("*.spool")):
            match = _NAME.fullmatch(path.name)
            if match is None:
                continue
            self._recover_segment(int(match[1]), path, position)

    def _recover_segment(self, index: int, path: Path, position: Position | None) -> None:
        data = _read_file(path, _MAX_SEGMENT_FILE_BYTES)
        content = parse_segment(data)
        whole = content.size if content else 0
        if whole < len(data):
            self.lost_bytes += len(data) - whole
            _log.error("spool_damaged segment=%s bytes=%d", path.name, len(data) - whole)
        done = position is not None and (
            # Acknowledged before; its deletion was what the crash took.
            index < position.segment
            or (content is not None and content.is_boundary(position) and position.offset == whole)
        )
        if content is None or not content.records or done:
            path.unlink()
            if not self._segments:
                here = Position(self._stream, index, HEADER_BYTES, 0)
                self._acknowledged = max(here, self._acknowledged, key=lambda one: one.segment)
            return
        count = len(content.records)
        segment = _Segment(index, path, content.stream, content.first, count, whole)
        if not self._segments:
            at_boundary = position is not None and content.is_boundary(position)
            at = position if position and position.segment == index and at_boundary else None
            self._acknowledged = at or _start_of(segment)
        self._segments.append(segment)
        self.used_bytes += whole


def sync_descriptors(descriptors: Sequence[int]) -> None:
    """Make what was written through descriptors survive a loss of power, and close them.

    Raises:
        SpoolError: The disk refused.
    """
    failure: OSError | None = None
    for descriptor in descriptors:
        try:
            os.fsync(descriptor)
        except OSError as exc:
            failure = exc
        finally:
            os.close(descriptor)
    if failure is not None:
        raise SpoolError(f"cannot sync the spool: {failure.strerror or failure}") from failure


def _batch(segment: _Segment, start: Position, records: Sequence[bytes]) -> Batch:
    offset = start.offset + sum(FRAME_BYTES + len(record) for record in records)
    end = Position(segment.stream, segment.index, offset, start.number + len(records))
    return Batch(segment.stream, start.number, tuple(records), end)


def _start_of(segment: _Segment) -> Position:
    return Position(segment.stream, segment.index, HEADER_BYTES, segment.first)


def _read_position(path: Path) -> Position | None:
    try:
        data = _read_file(path, _MAX_POSITION_BYTES)
    except FileNotFoundError:
        return None
    position = parse_position(data)
    if position is None:
        _log.warning("spool_position_unreadable: some records may be sent again")
    return position


def _read_file(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit)


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        raise SpoolError(
            f"another process uses the spool {path.parent}", hint="stop it, or choose a folder"
        ) from exc
    return descriptor


def _write_whole(descriptor: int, data: bytes, *, at: int) -> None:
    """Write all of it, or cut the file back to where it was."""
    view = memoryview(data)
    written = 0
    try:
        while written < len(data):
            written += os.pwrite(descriptor, view[written:], at + written)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, at)
        raise
