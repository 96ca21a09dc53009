# SPDX-License-Identifier: MIT
"""What the archive asks of the ClickHouse engine, wherever it runs.

Both forms take the same SQL, the same rows (`RowBinary`) and the same named parameters. Every call
blocks: `archive.writer` and `archive.queries` keep them out of the event loop.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from buildernet.archive.errors import EngineError, EngineFullError, EngineUnavailableError

Parameters = Mapping[str, str | int]
"""Values of `{name:Type}` in a statement; they are bound by the engine, never pasted into SQL."""

_CODE: Final = re.compile(r"Code:\s*(\d+)")
_MAX_MESSAGE_CHARS: Final = 300

_FULL: Final = frozenset({243})
"""NOT_ENOUGH_SPACE."""
_FULL_TEXTS: Final = ("No space left on device", "errno: 28", "File too large", "errno: 27")
"""How the engine words ENOSPC and EFBIG below other codes."""

_UNESCAPED: Final = re.compile(r"[\\\t\n\r\0\b\f]")


class Engine(Protocol):
    """One connection to the database; used by one thread at a time."""

    def execute(self, statement: str) -> None:
        """Run a statement without a result.

        Raises:
            EngineError: It failed.
        """

    def insert(self, table: str, columns: Sequence[str], rows: bytes) -> None:
        """Append rows; when it returns they are on disk.

        Args:
            table: Name of a table of the archive.
            columns: Names in the order of the values.
            rows: `RowBinary`.

        Raises:
            EngineFullError: No space is left; the same rows may be given again later.
            EngineError: It failed.
        """

    def query(self, statement: str, parameters: Parameters) -> bytes:
        """Return the result as a JSON object per line.

        Raises:
            EngineError: It failed, took too long or too much memory.
        """

    def stream(self, statement: str, parameters: Parameters, output: str) -> Iterator[bytes]:
        """Yield the result in a format of the engine's, such as `Parquet`, piece by piece.

        Raises:
            EngineError: It failed.
        """

    def close(self) -> None:
        """Finish what is under way and release everything."""


def translate_error(exc: Exception) -> EngineError:
    """Return our error for one of the engine's; its first line is kept."""
    text = str(exc)
    found = _CODE.search(text)
    first = text.strip().splitlines()[0][:_MAX_MESSAGE_CHARS] if text.strip() else repr(exc)
    if (found and int(found[1]) in _FULL) or any(part in text for part in _FULL_TEXTS):
        return EngineFullError(f"no space left for the archive: {first}", hint="free some space")
    if found is None:
        return EngineUnavailableError(f"the database does not answer: {first}")
    return EngineError(f"the database failed: {first}")


def escape(value: str | int) -> str:
    """Return a parameter's text as the engine reads it: escaped as in tab-separated values."""
    if isinstance(value, int):
        return str(value)
    return _UNESCAPED.sub(lambda found: _ESCAPES[found[0]], value)


_ESCAPES: Final = {
    "\\": "\\\\",
    "\t": "\\t",
    "\n": "\\n",
    "\r": "\\r",
    "\0": "\\0",
    "\b": "\\b",
    "\f": "\\f",
}
