# SPDX-License-Identifier: MIT
"""configfs-tsm's report entries: state, generations, and the errors of the tdx_guest provider.

Follows Linux 6.12, drivers/virt/coco/guest/report.c and fs/configfs/file.c, as described in
specs/attestation.md section 1.1. Raises `OSError` with the kernel's errno.
"""

import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

INBLOB_MAX: Final = 64
OUTBLOB_MAX: Final = 32 * 1024
TDX_REPORT_DATA_BYTES: Final = 64
PROVIDER_NAME: Final = b"tdx_guest\n"
EMPTY_FAULT: Final = "empty"
"""A quote of no bytes, as an old quote generation service on the host gives it."""
_GENERATIONS: Final = 1 << 64


class Attribute(StrEnum):
    """The files of an entry that tdx_guest shows."""

    GENERATION = "generation"
    INBLOB = "inblob"
    OUTBLOB = "outblob"
    PROVIDER = "provider"

    @property
    def mode(self) -> int:
        """Permission bits."""
        return 0o200 if self is Attribute.INBLOB else 0o444

    @property
    def is_binary(self) -> bool:
        """Binary attributes are not seekable and have size 0."""
        return self in (Attribute.INBLOB, Attribute.OUTBLOB)

    @property
    def stat_bytes(self) -> int:
        """The size that stat reports, whatever is inside."""
        return 0 if self.is_binary else 4096


def fail(number: int) -> OSError:
    """Return the error of an errno."""
    return OSError(number, os.strerror(number))


class Entry:
    """One report: /sys/kernel/config/tsm/report/<name>."""

    def __init__(self) -> None:
        self.inblob = b""
        self.outblob: bytes | None = None
        self.write_generation = 0
        self.read_generation = 0
        self.is_dropped = False


class ReportTree:
    """All entries. One lock stands for the kernel's one semaphore: a quote blocks everyone."""

    def __init__(
        self, quote: Callable[[bytes], bytes] | None, *, faults: Iterable[str] = ()
    ) -> None:
        """Make an empty tree.

        Args:
            quote: report data to quote; None means that no provider is registered.
            faults: errno names or `EMPTY_FAULT`; each spoils one quote, in order.
        """
        self._quote = quote
        self._faults = deque(faults)
        self._semaphore = threading.Lock()
        self.entries: dict[str, Entry] = {}

    def make(self, name: str) -> None:
        """Mkdir."""
        with self._semaphore:
            if self._quote is None:
                raise fail(errno.ENXIO)
            if name in self.entries:
                raise fail(errno.EEXIST)
            self.entries[name] = Entry()

    def drop(self, name: str) -> None:
        """Rmdir; files that are still open answer ENOENT from now on."""
        with self._semaphore:
            entry = self.entries.pop(name, None)
            if entry is None:
                raise fail(errno.ENOENT)
            entry.is_dropped = True

    def find(self, name: str) -> Entry:
        """Look an entry up."""
        entry = self.entries.get(name)
        if entry is None:
            raise fail(errno.ENOENT)
        return entry

    def store(self, entry: Entry, value: bytes) -> None:
        """Set inblob; what a close does with the written bytes."""
        with self._semaphore:
            _require_alive(entry)
            if entry.write_generation == (entry.read_generation - 1) % _GENERATIONS:
                raise fail(errno.EBUSY)
            entry.write_generation = (entry.write_generation + 1) % _GENERATIONS
            entry.inblob = value

    def show(self, entry: Entry, attribute: Attribute) -> bytes:
        """Read an attribute whole."""
        with self._semaphore:
            _require_alive(entry)
            if attribute is Attribute.GENERATION:
                return b"%d\n" % entry.write_generation
            if attribute is Attribute.PROVIDER:
                return PROVIDER_NAME
            return self._outblob(entry)

    def _outblob(self, entry: Entry) -> bytes:
        if not entry.inblob:
            raise fail(errno.EINVAL)
        if entry.outblob is not None and entry.read_generation == entry.write_generation:
            return entry.outblob
        entry.outblob = None
        entry.outblob = self._generate(entry.inblob)
        entry.read_generation = entry.write_generation
        return entry.outblob

    def _generate(self, inblob: bytes) -> bytes:
        if self._quote is None:
            raise fail(errno.ENXIO)
        if len(inblob) != TDX_REPORT_DATA_BYTES:
            raise fail(errno.EINVAL)
        fault = self._faults.popleft() if self._faults else None
        if fault == EMPTY_FAULT:
            return b""
        if fault is not None:
            raise fail(getattr(errno, fault))
        quote = self._quote(inblob)
        if len(quote) > OUTBLOB_MAX:
            raise fail(errno.EFBIG)
        return quote


def _require_alive(entry: Entry) -> None:
    if entry.is_dropped:
        raise fail(errno.ENOENT)


class OpenFile:
    """One open of an attribute: reads see one snapshot, writes are committed at close."""

    def __init__(self, tree: ReportTree, entry: Entry, attribute: Attribute, flags: int) -> None:
        """Open.

        Raises:
            OSError: EACCES for a direction that the attribute does not have, even for root.
        """
        writes = attribute is Attribute.INBLOB
        access = flags & os.O_ACCMODE
        if access != (os.O_WRONLY if writes else os.O_RDONLY):
            raise fail(errno.EACCES)
        self.attribute = attribute
        self._tree, self._entry = tree, entry
        self._snapshot: bytes | None = None
        self._written: bytearray | None = None

    def read(self, size: int, offset: int) -> bytes:
        """Serve a part of the snapshot; the first read takes it."""
        if self._snapshot is None:
            self._snapshot = self._tree.show(self._entry, self.attribute)
        return self._snapshot[offset : offset + size]

    def write(self, data: bytes, offset: int) -> int:
        """Collect bytes; nothing is stored yet."""
        end = offset + len(data)
        if end > INBLOB_MAX:
            raise fail(errno.EFBIG)
        buffer = self._written = self._written or bytearray()
        buffer.extend(bytes(max(0, end - len(buffer))))
        buffer[offset:end] = data
        return len(data)

    def commit(self) -> None:
        """Close: store what was written. The kernel discards the error, and so does this."""
        written, self._written = self._written, None
        if written is not None:
            try:
                self._tree.store(self._entry, bytes(written))
            except OSError:
                return
