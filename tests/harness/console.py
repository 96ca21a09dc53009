# SPDX-License-Identifier: MIT
"""The serial console: keeps all of it, waits for lines, knows what failed boots look like."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Final

from tests.harness.errors import BootFailedError, DeadlineError, FailureKind, StalledError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.harness.deadline import Deadline

KNOWN_FAILURES: Final = (
    (
        FailureKind.VERITY,
        re.compile(r"device-mapper: verity: .* is corrupted|Verity device corruption detected"),
    ),
    (FailureKind.INITRD, re.compile(r"initrd: FATAL")),
    (
        FailureKind.OOPS,
        re.compile(r"BUG: (?!workqueue)|Oops: |traps: PANIC|general protection fault, "),
    ),
    (FailureKind.PANIC, re.compile(r"Kernel panic - not syncing")),
    (FailureKind.NO_BOOT_ENTRY, re.compile(r"UEFI Interactive Shell|BdsDxe: No bootable option")),
    (FailureKind.EMERGENCY, re.compile(r"You are in emergency mode|Entering emergency mode")),
)
"""Console lines after which waiting for anything else is pointless; the first seen is the cause."""
CONTROL_SEQUENCES: Final = re.compile(
    r"\x1b\[[0-9;=?]*[A-Za-z]|\x1b[()][A-Z0-9]|[\x00-\x08\x0b-\x1f\x7f]"
)
"""Terminal sequences of OVMF and systemd and stray control characters, cut from every line."""
TAIL_LINES: Final = 15
"""How much of the console an error shows."""


class Console:
    """Reads one console to its end in a thread of its own."""

    def __init__(
        self, connection: socket.socket, *, on_line: Callable[[str], None] | None = None
    ) -> None:
        self._connection = connection
        self._on_line = on_line
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._partial = ""
        self._last_output_at = time.monotonic()
        self._failure: BootFailedError | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> BootFailedError | None:
        """The first known failure seen, or None."""
        return self._failure

    @property
    def closed(self) -> bool:
        """QEMU has closed its end: it has exited."""
        return self._closed

    def transcript(self) -> str:
        """All lines so far, without terminal sequences."""
        with self._changed:
            return "\n".join([*self._lines, self._partial])

    def tail(self) -> str:
        """The last lines, indented, for an error message."""
        shown = [line for line in self.transcript().split("\n") if line.strip()][-TAIL_LINES:]
        return "".join(f"\n    | {line}" for line in shown)

    def wait_for(
        self, pattern: str, deadline: Deadline, *, silence_seconds: float | None = None
    ) -> re.Match[str]:
        """The first match of `pattern` in a line, seen already or still to come.

        Args:
            pattern: Regular expression, searched in each line and in the unfinished last one.
            deadline: When to give up.
            silence_seconds: Longest time without any output, or None for no such limit.

        Raises:
            BootFailedError: A known failure came first.
            StalledError: No output for `silence_seconds`.
            DeadlineError: The deadline is over, or the console was closed without a match.
        """
        wanted = re.compile(pattern)
        checked = 0
        with self._changed:
            while True:
                for line in [*self._lines[checked:], self._partial]:
                    if match := wanted.search(line):
                        return match
                checked = len(self._lines)
                if self._failure is not None:
                    raise self._failure
                if self._closed:
                    raise DeadlineError(f"console closed before {pattern!r}{self.tail()}")
                timeout = deadline.remaining()
                if timeout <= 0:
                    raise DeadlineError(
                        f"not within {deadline.seconds:g} s: console line {pattern!r}{self.tail()}"
                    )
                if silence_seconds is not None:
                    silent = time.monotonic() - self._last_output_at
                    if silent >= silence_seconds:
                        raise StalledError(f"console silent for {silent:.0f} s{self.tail()}")
                    timeout = min(timeout, silence_seconds - silent)
                self._changed.wait(timeout)

    def wait_end(self, timeout_seconds: float) -> bool:
        """Wait until the boot has failed or the console is closed; False when neither happened."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._closed or self._failure is not None, timeout_seconds
            )

    def join(self, timeout_seconds: float) -> None:
        """Wait until everything that was sent has been read."""
        self._thread.join(timeout_seconds)

    def _read(self) -> None:
        try:
            while chunk := self._connection.recv(65536):
                self._take(chunk.decode("utf-8", errors="replace"))
        except OSError:
            pass  # the harness closed its end
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, text: str) -> None:
        with self._changed:
            self._last_output_at = time.monotonic()
            *complete, self._partial = (self._partial + text).split("\n")
            lines = [CONTROL_SEQUENCES.sub("", line) for line in complete]
            self._lines += lines
            for line in lines:
                self._note_failure(line)
            self._changed.notify_all()
        if self._on_line is not None:
            for line in lines:
                self._on_line(line)

    def _note_failure(self, line: str) -> None:
        if self._failure is None:
            for kind, pattern in KNOWN_FAILURES:
                if pattern.search(line):
                    self._failure = BootFailedError(kind, line.strip())
                    return
