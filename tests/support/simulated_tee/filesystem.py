# SPDX-License-Identifier: MIT
"""FUSE callbacks: paths and handles to `report`.

Written values are committed in `flush`, which close(2) waits for; FUSE calls `release` later, and a
client that closes inblob and reads outblob at once would overtake it.
"""

# FUSE calls every callback with all its arguments.
# ruff: noqa: ARG002

import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterable
from typing import Any, Final

import mfusepy  # type: ignore[import-untyped]  # ships no type information

from tests.support.simulated_tee.report import Attribute, OpenFile, ReportTree, fail

IDLE_THREADS: Final = 10
"""libfuse 3.14's own default is one that it then complains about on stderr."""
ENDED_BY_SIGNAL: Final = 8
"""What libfuse 3 returns after SIGTERM, unmounted and in order."""
DIRECTORY_MODE: Final = stat.S_IFDIR | 0o755


class TSMFileSystem(mfusepy.Operations):  # type: ignore[misc]  # untyped
    """The folder `report`, to be mounted anywhere."""

    use_ns = True

    def __init__(self, tree: ReportTree, *, on_mounted: Callable[[], None]) -> None:
        self._tree = tree
        self._on_mounted = on_mounted
        self._handles: dict[int, OpenFile] = {}
        self._numbers = itertools.count(1)

    def init(self, path: str) -> None:
        """Mounted."""
        self._on_mounted()

    def getattr(self, path: str, fh: Any = None) -> dict[str, int]:  # ctypes structure
        """Stat."""
        name, attribute = self._split(path)
        owner = {"st_uid": os.getuid(), "st_gid": os.getgid()}
        if attribute is None:
            if name:
                self._tree.find(name)
            return {**owner, "st_mode": DIRECTORY_MODE, "st_nlink": 2}
        self._tree.find(name)
        mode, size = stat.S_IFREG | attribute.mode, attribute.stat_bytes
        return {**owner, "st_mode": mode, "st_nlink": 1, "st_size": size}

    def readdir(self, path: str, fh: Any) -> Iterable[str]:
        """List entries, or the attributes of one."""
        name, _ = self._split(path)
        if not name:
            return [".", "..", *self._tree.entries]
        self._tree.find(name)
        return [".", "..", *Attribute]

    def mkdir(self, path: str, mode: int) -> None:
        """Make an entry; nothing can be made below one."""
        self._require_top(path)
        self._tree.make(path.removeprefix("/"))

    def rmdir(self, path: str) -> None:
        """Drop an entry with its attributes."""
        self._require_top(path)
        self._tree.drop(path.removeprefix("/"))

    def unlink(self, path: str) -> None:
        """Attributes go with their entry only."""
        raise fail(errno.EPERM)

    def create(self, path: str, mode: int, fi: Any = None) -> None:
        """Files appear with their entry only."""
        raise fail(errno.EPERM)

    def truncate(self, path: str, length: int, fh: Any = None) -> None:
        """O_TRUNC does nothing."""

    def open(self, path: str, fi: Any) -> None:
        """Open an attribute."""
        name, attribute = self._split(path)
        if attribute is None:
            raise fail(errno.EISDIR)
        handle = OpenFile(self._tree, self._tree.find(name), attribute, fi.flags)
        fi.fh = next(self._numbers)
        fi.direct_io = 1
        fi.nonseekable = int(attribute.is_binary)
        self._handles[fi.fh] = handle

    def read(self, path: str, size: int, offset: int, fi: Any) -> bytes:
        """Read from the snapshot."""
        return self._handles[fi.fh].read(size, offset)

    def write(self, path: str, data: bytes, offset: int, fi: Any) -> int:
        """Collect bytes."""
        return self._handles[fi.fh].write(data, offset)

    def flush(self, path: str, fi: Any) -> None:
        """A descriptor was closed."""
        self._handles[fi.fh].commit()

    def release(self, path: str, fi: Any) -> None:
        """The last descriptor is gone."""
        self._handles.pop(fi.fh, None)

    def _split(self, path: str) -> tuple[str, Attribute | None]:
        name, _, rest = path.removeprefix("/").partition("/")
        if not rest:
            return name, None
        try:
            return name, Attribute(rest)
        except ValueError:
            raise fail(errno.ENOENT) from None

    def _require_top(self, path: str) -> None:
        if path.count("/") != 1:
            raise fail(errno.EPERM)


def serve(tree: ReportTree, mount_point: str, *, on_mounted: Callable[[], None]) -> None:
    """Mount and answer until unmounted or told to stop."""
    try:
        mfusepy.FUSE(
            TSMFileSystem(tree, on_mounted=on_mounted),
            mount_point,
            raw_fi=True,
            foreground=True,
            max_idle_threads=IDLE_THREADS,
            attr_timeout=0,
            entry_timeout=0,
            fsname="simulated-tsm",
        )
    except RuntimeError as exc:
        if exc.args != (ENDED_BY_SIGNAL,):
            raise RuntimeError(f"libfuse gave up with code {exc}; see its message above") from exc
