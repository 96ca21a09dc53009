# SPDX-License-Identifier: MIT
"""Mount the simulated configfs-tsm for one test; skips with the reason where FUSE is missing."""

from __future__ import annotations

import contextlib
import ctypes.util
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from buildernet.attestation.event_log import EV_SEPARATOR
from tests.support.event_logs import RawEvent, encode_log
from tests.support.shared_data import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOUNT_DEADLINE_SECONDS: Final = 30.0
"""Starting Python and mounting take half a second; the machine may be busy."""
MRTD: Final = "17" * 48
EVENTS: Final = (
    RawEvent(4, EV_SEPARATOR, b"\0\0\0\0"),
    RawEvent(7, 1, b"secure boot"),
    RawEvent(9, 1, b"kernel"),
)


def require_fuse() -> None:
    """Skip the test when FUSE is missing."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs read and write access to /dev/fuse")
    if not any(ctypes.util.find_library(name) for name in ("fuse3", "fuse")):
        pytest.skip("needs libfuse (Debian package fuse3)")


@contextlib.contextmanager
def mounted_tee(folder: Path, *options: str) -> Iterator[Path]:
    """Run the simulated TEE and yield the mount point.

    Args:
        folder: empty; gets the log and the mount point.
        options: further arguments of `simulated-tee mount`.
    """
    require_fuse()
    mount_point, log, ready = folder / "report", folder / "event-log", folder / "ready"
    mount_point.mkdir()
    log.write_bytes(encode_log(EVENTS))
    command = [sys.executable, "-m", "tests.support.simulated_tee", "mount", str(mount_point)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.bind(str(ready))
        notifications.settimeout(MOUNT_DEADLINE_SECONDS)
        process = subprocess.Popen(
            [*command, "--event-log", str(log), "--mrtd", MRTD, *options],
            cwd=ROOT,
            env={**os.environ, "NOTIFY_SOCKET": str(ready)},
        )
        try:
            assert notifications.recv(16) == b"READY=1"
            yield mount_point
        finally:
            process.terminate()
            process.wait(MOUNT_DEADLINE_SECONDS)
