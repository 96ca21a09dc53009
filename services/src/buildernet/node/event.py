# SPDX-License-Identifier: MIT
"""Report an event to system-api by writing one line to its FIFO; never waits."""

import os
import stat
from pathlib import Path

from buildernet.base.paths import MAX_EVENT_BYTES
from buildernet.node.errors import EventError


def send_event(message: str, *, fifo: Path) -> None:
    """Write the message as one line.

    Args:
        message: Without line breaks, at most `MAX_EVENT_BYTES` - 1 bytes in UTF-8.
        fifo: The FIFO system-api reads.

    Raises:
        EventError: The message does not fit one line, nobody reads the FIFO, or it is full.
    """
    line = message.encode(errors="surrogateescape") + b"\n"
    if not message.strip() or b"\n" in line[:-1]:
        raise EventError("an event is one line that is not empty", hint="send one per line")
    if len(line) > MAX_EVENT_BYTES:
        raise EventError(f"event is {len(line) - 1} bytes, at most {MAX_EVENT_BYTES - 1}")
    try:
        descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise EventError(
            f"cannot write to {fifo}: nobody reads it ({exc.strerror})",
            hint="is system-api.service running? `systemctl status system-api`",
        ) from exc
    try:
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            raise EventError(f"{fifo} is not a FIFO")
        os.write(descriptor, line)  # whole or not at all: no longer than PIPE_BUF
    except BlockingIOError as exc:
        raise EventError(f"{fifo} is full: system-api does not keep up") from exc
    finally:
        os.close(descriptor)
