# SPDX-License-Identifier: MIT
"""The engine inside this process: chDB on a folder that one process at a time may open.

Its library takes a second to load and 300 MiB of memory, so it is imported when it is needed.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from buildernet.archive.engine import escape, translate_error
from buildernet.archive.errors import EngineError, EngineUnavailableError

DATABASE: Final = "buildernet"

_PIECE_BYTES: Final = 256 * 1024


class EmbeddedEngine:
    """One session; several of one process share the folder."""

    def __init__(self, folder: Path, *, max_memory_bytes: int) -> None:
        """Open the folder, making it when it is missing.

        Args:
            folder: Where the tables are.
            max_memory_bytes: What the engine may use in this process; an insertion or a question
                beyond it fails.

        Raises:
            EngineUnavailableError: It cannot be made or opened, or another process has it open.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise EngineUnavailableError(f"cannot make {folder}: {exc.strerror}") from exc
        # Any: chDB's methods have no types.
        self._session: Any = _open(folder, max_memory_bytes)
        try:
            self.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")
            self.execute(f"USE {DATABASE}")
        except BaseException:
            self.close()
            raise

    def execute(self, statement: str) -> None:
        """See `Engine`."""
        self._run(statement, {}, "Null")

    def insert(self, table: str, columns: Sequence[str], rows: bytes) -> None:
        """See `Engine`."""
        names = ", ".join(f"`{name}`" for name in columns)
        # Not chDB's own `send_insert`: in 26.9 it reports success when the disk is full.
        descriptor = os.memfd_create("archive-rows", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(rows)
            source = f"FROM INFILE '/proc/self/fd/{descriptor}' FORMAT RowBinary"
            self._run(f"INSERT INTO {table} ({names}) {source}", {}, "Null")
        finally:
            os.close(descriptor)

    def query(self, statement: str, parameters: Mapping[str, str | int]) -> bytes:
        """See `Engine`."""
        return bytes(self._run(statement, parameters, "JSONEachRow").bytes())

    def stream(
        self, statement: str, parameters: Mapping[str, str | int], output: str
    ) -> Iterator[bytes]:
        """See `Engine`.

        The engine writes into a pipe: what its own streaming gives is a Parquet file per block.
        """
        reading, writing = os.pipe()
        failures: list[EngineError] = []

        def write() -> None:
            target = f"INTO OUTFILE '/proc/self/fd/{writing}' TRUNCATE FORMAT {output}"
            try:
                self._run(f"{statement} {target}", parameters, "Null")
            except EngineError as exc:
                failures.append(exc)
            finally:
                os.close(writing)

        writer = threading.Thread(target=write, name="archive-export-write")
        writer.start()
        try:
            # Left early, at a yield: the engine has opened the pipe, and finds it closed.
            with os.fdopen(reading, "rb") as source:
                while piece := source.read(_PIECE_BYTES):
                    yield piece
        finally:
            writer.join()
        if failures:
            raise failures[0]

    def close(self) -> None:
        """See `Engine`."""
        self._session.close()

    # Any: chDB's result has no types.
    def _run(self, statement: str, parameters: Mapping[str, str | int], output: str) -> Any:
        try:
            return self._session.query(statement, output, params=_bound(parameters))
        except RuntimeError as exc:
            raise translate_error(exc) from exc


def _open(folder: Path, max_memory_bytes: int) -> object:
    try:
        from chdb.session import Session
    except ImportError as exc:
        raise EngineUnavailableError(
            f"the embedded engine is not installed: {exc}",
            hint="install buildernet[archive], or set database_url to a ClickHouse server",
        ) from exc
    try:
        make: Any = Session  # untyped
        session: object = make(f"{quote(str(folder))}?max_server_memory_usage={max_memory_bytes}")
    except RuntimeError as exc:
        raise EngineUnavailableError(
            f"cannot open the tables in {folder}: {str(exc).splitlines()[0][:200]}",
            hint="another archive may have it open; only one process can",
        ) from exc
    return session


def _bound(parameters: Mapping[str, str | int]) -> dict[str, str] | None:
    return {name: escape(value) for name, value in parameters.items()} or None
