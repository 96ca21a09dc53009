# SPDX-License-Identifier: MIT
"""Looks at the database once before it is used: at the start, a wrong setting is one line.

Reference: PostgreSQL's error codes (classes 28, 3D); SQLite's file format, section 1.3.
"""

import asyncio
import os
from pathlib import Path
from typing import Final

from sqlalchemy import text

from buildernet.builder_hub.database import Database
from buildernet.builder_hub.errors import DatabaseError

_MAGIC: Final = b"SQLite format 3\0"

_HINTS: Final = {
    "28": "the user or its password in the database's URL is wrong, or pg_hba.conf refuses it",
    "3D": "make it: createdb --owner USER NAME",
    "42": "the database's user must own it: it makes and changes the tables",
}
"""By class of PostgreSQL's error."""

_UNREACHABLE: Final = "is the server running, and are host and port in the database's URL right?"


async def require_database(database: Database) -> None:
    """Raise unless a database can be opened; makes a SQLite file that is missing, for us alone.

    Raises:
        DatabaseError: It cannot; the message names where it is and why, and holds no password.
    """
    if database.is_sqlite:
        await asyncio.to_thread(_require_file, Path(database.engine.url.database or ""))
    try:
        async with database.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    # asyncpg's errors of connecting come as they are, and have no common base with SQLAlchemy's.
    except Exception as exc:
        raise unusable(database, exc) from exc


def unusable(database: Database, error: Exception) -> DatabaseError:
    """Return what to say about an error of the database."""
    state = str(getattr(_origin(error), "sqlstate", None) or "")
    return DatabaseError(
        f"cannot use the database {database.name}: {reason(error)}",
        hint=_HINTS.get(state[:2], _UNREACHABLE if not state and not database.is_sqlite else None),
    )


def reason(error: BaseException) -> str:
    """Return one line about an error, without its statement and parameters."""
    origin = _origin(error)
    first = str(getattr(origin, "strerror", None) or origin).partition("\n")[0]
    return first or type(origin).__name__


def _origin(error: BaseException) -> BaseException:
    """Return the driver's own error, which SQLAlchemy wraps once or twice."""
    wrapped = getattr(error, "orig", None) or error
    return wrapped.__cause__ or wrapped if wrapped is not error else error


def _require_file(path: Path) -> None:
    try:
        # Configurations are in it in clear; SQLite gives its side files the same mode.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            head = os.read(descriptor, len(_MAGIC))
        finally:
            os.close(descriptor)
    except OSError as exc:
        missing = not path.parent.is_dir()
        raise DatabaseError(
            f"cannot use the database {path}: {exc.strerror}",
            hint=f"make the folder {path.parent}" if missing else None,
        ) from exc
    if head not in (b"", _MAGIC):
        raise DatabaseError(f"cannot use the database {path}: it is no SQLite file")
