# SPDX-License-Identifier: MIT
"""Bytes by name in a folder: what survives a restart without being a secret."""

import os
import tempfile
from pathlib import Path
from typing import Final

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
        try:
            with self._path(name).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise StoreError(f"cannot read {self._path(name)}: {exc.strerror}") from exc
        if len(data) > MAX_FILE_BYTES:
            raise StoreError(f"{self._path(name)} is larger than {MAX_FILE_BYTES} bytes")
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        path = self._path(name)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=self._folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as exc:
            raise StoreError(f"cannot write {path}: {exc.strerror}") from exc

    def _path(self, name: str) -> Path:
        if not name or "/" in name or name.startswith("."):
            raise StoreError(f"{name!r} is not a file name")
        return self._folder / name
