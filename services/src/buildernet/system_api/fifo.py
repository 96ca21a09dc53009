# SPDX-License-Identifier: MIT
"""The FIFO through which everything in the guest reports events, one per line.

It is opened for reading and writing: with a writer always there (ourselves), it never reaches its
end when the last other writer closes, so the reader waits instead of spinning on end-of-file.

Reference: fifo(7), section "NOTES"; pipe(7), section "PIPE_BUF".
"""

import asyncio
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from buildernet.base.paths import MAX_EVENT_BYTES
from buildernet.system_api.errors import FifoError

TRUNCATED: Final = " [truncated]"
"""At the end of an event that was longer than `MAX_EVENT_BYTES`."""

_READ_BYTES: Final = 64 * 1024
"""The default capacity of a FIFO: one read empties it, then other work gets its turn."""

_UNFINISHED_S: Final = 1.0
"""A line left without its newline counts as finished after this: else it would stay in front of
the next writer's line."""

_MODE: Final = 0o666
"""Every service in the guest reports events, each under its own user."""

_log = logging.getLogger(__name__)


class LineAssembler:
    """Cuts a byte stream into lines, holding at most `MAX_EVENT_BYTES` of an unfinished one."""

    def __init__(self) -> None:
        self.truncated = 0
        """Lines cut so far."""
        self._held = b""
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield the lines that `data` completes, without newline; bad UTF-8 becomes U+FFFD."""
        *complete, rest = data.split(b"\n")
        for piece in complete:
            yield from self._extend(piece)
            yield from self.finish()
            self._skipping = False
        yield from self._extend(rest)

    def finish(self) -> Iterator[str]:
        """Yield the unfinished line, if there is one, as complete."""
        if self._held:
            yield self._held.decode(errors="replace")
            self._held = b""

    def _extend(self, piece: bytes) -> Iterator[str]:
        if self._skipping:
            return
        self._held += piece
        if len(self._held) >= MAX_EVENT_BYTES:
            text = self._held[: MAX_EVENT_BYTES - 1].decode(errors="replace")
            self.truncated += 1
            self._skipping = True
            self._held = b""
            yield text + TRUNCATED


class Fifo:
    """The FIFO, read by the running event loop."""

    def __init__(
        self, path: Path, sink: Callable[[str], None], *, registry: CollectorRegistry
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            path: Where the FIFO is or will be.
            sink: Takes each line.
            registry: Where its metric goes.
        """
        self._path = path
        self._sink = sink
        self._lines = LineAssembler()
        self._descriptor = -1
        self._unfinished: asyncio.TimerHandle | None = None
        truncated = Counter(
            "system_api_fifo_lines_truncated", "Lines longer than an event.", registry=registry
        )
        self._count_truncated = truncated.inc

    def open(self) -> None:
        """Make the FIFO if it is missing and start reading it.

        Raises:
            FifoError: The path is something else, or cannot be made or opened.
        """
        try:
            with suppress(FileExistsError):
                os.mkfifo(self._path)
                self._path.chmod(_MODE)  # mkfifo's mode would be subject to the umask
            flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._path, flags)
        except OSError as exc:
            raise FifoError(
                f"cannot open FIFO {self._path}: {exc.strerror}",
                hint="choose another path with --pipe-file",
            ) from exc
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FifoError(
                f"{self._path} exists and is not a FIFO", hint="remove it, or choose --pipe-file"
            )
        self._descriptor = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._read)
        _log.info("fifo_open path=%s", self._path)

    def close(self) -> None:
        """Take what is left in the FIFO and stop reading it."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self._read()
        self._finish()
        os.close(self._descriptor)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        before = self._lines.truncated
        for line in self._lines.feed(data):
            self._sink(line)
        self._count_truncated(self._lines.truncated - before)
        if self._unfinished is not None:
            self._unfinished.cancel()
        self._unfinished = asyncio.get_running_loop().call_later(_UNFINISHED_S, self._finish)

    def _finish(self) -> None:
        if self._unfinished is not None:
            self._unfinished.cancel()
        for line in self._lines.finish():
            self._sink(line)
