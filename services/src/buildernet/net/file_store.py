# SPDX-License-Identifier: MIT
"""Bytes by name in a folder: what survives a restart without being a secret."""

from pathlib import Path
from typing import Final

from buildernet.base.bounded_file import read_file, replace_file
from buildernet.net.errors import StoreError

MAX_FILE_BYTES: Final = 16 << 20
"""More than any document kept here; a damaged or foreign file stops at it."""


class FileStore:
    """A folder, made on the first write; names are plain file names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None if there is no such file.

        Raises:
            StoreError: it cannot be read, or is over `MAX_FILE_BYTES`.
        """
        path = self._path(name)
        try:
            return read_file(path, limit=MAX_FILE_BYTES, error=StoreError)
        except StoreError as exc:
            if isinstance(exc.__cause__, FileNotFoundError):
                return None
            raise

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        path = self._path(name)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise StoreError(f"cannot write {path}: {exc.strerror}") from exc
        replace_file(path, data, error=StoreError)

    def _path(self, name: str) -> Path:
        if not name or "/" in name or name.startswith("."):
            raise StoreError(f"{name!r} is not a file name")
        return self._folder / name
