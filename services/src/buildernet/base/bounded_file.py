# SPDX-License-Identifier: MIT
"""Reading a file that someone named, up to a limit; replacing one, whole or not at all."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IRWXG, S_IRWXO
from typing import BinaryIO

from buildernet.base.errors import BuildernetError, ConfigError

MakeError = Callable[[str], BuildernetError]
"""An error class, or whatever else makes an error of one line of text."""


def read_file(path: Path, *, limit: int, error: MakeError = ConfigError) -> bytes:
    """Read a whole file.

    Args:
        path: A file, or anything that reads like one.
        limit: Bytes; a larger file is refused, not cut.
        error: What to raise; it takes one line of text.

    Raises:
        BuildernetError: Of the kind `error`: the file cannot be read or is larger than `limit`.
    """
    data, _ = _read(path, limit=limit, error=error)
    return data


def read_private_file(path: Path, *, limit: int, error: MakeError = ConfigError) -> bytes:
    """Read a whole file that nobody but its owner may open: a key.

    Raises:
        BuildernetError: Of the kind `error`: as `read_file`, or it is open to others.
    """
    data, mode = _read(path, limit=limit, error=error)
    if mode & (S_IRWXG | S_IRWXO):
        refused = error(f"{path} is open to others (mode {mode & 0o777:04o})")
        refused.hint = f"chmod 0600 {path}"
        raise refused
    return data


def replace_file(
    path: Path, data: bytes, *, mode: int = 0o600, error: MakeError = ConfigError
) -> None:
    """Write a file whole or not at all; who reads it sees the old content or the new.

    Args:
        path: In a folder that exists.
        data: Its content.
        mode: Its permissions, whatever the process's mask.
        error: What to raise; it takes one line of text.

    Raises:
        BuildernetError: Of the kind `error`: the file cannot be written; the old one stays.
    """
    try:
        with replacing(path, mode=mode) as file:
            file.write(data)
    except OSError as exc:
        raise error(f"cannot write {path}: {exc.strerror or exc}") from exc


@contextmanager
def replacing(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of another once all of it is on disk.

    Raises:
        OSError: It cannot be written; whatever is raised inside leaves the old file as it was.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            yield file
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read(path: Path, *, limit: int, error: MakeError) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(limit + 1)
    except OSError as exc:
        raise error(f"cannot read {path}: {exc.strerror}") from exc
    if len(data) > limit:
        raise error(f"{path} is larger than {limit} bytes")
    return data, mode
