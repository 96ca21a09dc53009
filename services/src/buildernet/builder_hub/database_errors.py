# SPDX-License-Identifier: MIT
"""What a database's errors mean: who does not answer, who takes no writes, and what to call it."""

from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_DOWN: Final = (OperationalError, InterfaceError, PoolTimeoutError, OSError, TimeoutError)
"""What SQLAlchemy and asyncpg raise when nobody answers."""

_NO_WRITES: Final = ("25006", "53", "58", "SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR")
"""Read-only transaction (a standby), out of disk or memory, input and output."""

_UNAVAILABLE: Final = ("08", "28", "3D", "40", "57", *_NO_WRITES)
"""Connection, login refused, no such database, deadlock, shut down or cancelled: later it works."""


def is_unavailable(error: BaseException) -> bool:
    """Whether an error lies with the database and not with what it was asked."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, _DOWN) or _code(error).startswith(_UNAVAILABLE)


def takes_no_writes(error: BaseException) -> bool:
    """Whether an error says that nothing can be stored, though reading may go on."""
    return _code(error).startswith(_NO_WRITES)


def cause(error: BaseException) -> str:
    """Name an error without its statement, parameters or anything from a URL."""
    origin = _origin(error)
    name = type(origin.__cause__ or origin).__name__
    code = _code(error)
    return f"{name}({code})" if code else name


def _code(error: BaseException) -> str:
    """Return PostgreSQL's SQLSTATE or SQLite's own name of an error; empty when it has none."""
    origin = _origin(error)
    return str(getattr(origin, "sqlite_errorname", None) or getattr(origin, "sqlstate", None) or "")


def _origin(error: BaseException) -> BaseException:
    return getattr(error, "orig", None) or error
