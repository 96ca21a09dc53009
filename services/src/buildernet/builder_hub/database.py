# SPDX-License-Identifier: MIT
"""One database, PostgreSQL or SQLite, and transactions that say clearly when it does not answer."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy import URL, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from buildernet.base.errors import ConfigError
from buildernet.builder_hub.errors import ConflictError, UnavailableError
from buildernet.builder_hub.limits import (
    COMMAND_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    PING_TIMEOUT_S,
    SQLITE_BUSY_S,
)

POOL_IDLE: Final = 10
POOL_OPEN: Final = 50
"""As the reference: 10 connections kept, 50 at most."""

_POSTGRESQL: Final = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
_SQLITE: Final = frozenset({"sqlite", "sqlite+aiosqlite"})
_SSL_MODES: Final = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})

_DOWN: Final = (OperationalError, InterfaceError, PoolTimeoutError, OSError, TimeoutError)
"""What SQLAlchemy and asyncpg raise when nobody answers."""

_log = logging.getLogger(__name__)


class Database:
    """Hands out transactions; one pool of connections, which outlives the server's restarts."""

    def __init__(self, url: URL) -> None:
        """Prepare the pool; nothing is connected yet."""
        self.engine = _engine(url)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.name = url.render_as_string(hide_password=True)
        """For people; never holds the password."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection; everything done with it is kept if the block ends well, else nothing.

        Raises:
            UnavailableError: The database does not answer.
            ConflictError: What was written contradicts what is there already.
        """
        try:
            async with self.engine.begin() as connection:
                yield connection
        except IntegrityError as exc:
            raise ConflictError("it contradicts what is there already") from exc
        except _DOWN as exc:
            raise _unavailable(exc) from exc
        except DBAPIError as exc:
            if not exc.connection_invalidated and not _is_shutdown(exc):
                raise
            raise _unavailable(exc) from exc

    async def ping(self) -> str | None:
        """Return why the database does not answer within `PING_TIMEOUT_S`; None when it does."""
        try:
            async with asyncio.timeout(PING_TIMEOUT_S), self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError) as exc:  # TimeoutError is an OSError
            return _cause(exc)
        return None

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def parse_database_url(value: str) -> URL:
    """Read a URL of the reference (`postgres://…?sslmode=…`), or `sqlite:///FILE`.

    Raises:
        ConfigError: Another scheme, or a parameter that is not known. The message holds no
            password.
    """
    try:
        url = make_url(value)
    except (ArgumentError, ValueError) as exc:
        raise ConfigError(
            "the database's URL cannot be read",
            hint="postgres://USER@HOST:5432/NAME?sslmode=disable or sqlite:///FILE",
        ) from exc
    if url.drivername in _SQLITE:
        if not url.database or url.database == ":memory:":
            raise ConfigError("a SQLite database needs a file", hint="sqlite:///builder-hub.sqlite")
        return url.set(drivername="sqlite+aiosqlite")
    if url.drivername not in _POSTGRESQL:
        raise ConfigError(f"unknown kind of database {url.drivername[:40]!r}")
    return _postgresql(url, value)


def _postgresql(url: URL, value: str) -> URL:
    """Translate the parameters of libpq that are in use into asyncpg's."""
    query: dict[str, str] = {}
    for key, item in parse_qsl(urlsplit(value).query, keep_blank_values=True):
        if key == "sslmode":
            if item not in _SSL_MODES:
                raise ConfigError(f"unknown sslmode {item[:40]!r}")
            query["ssl"] = item
        elif key in ("host", "port"):
            query[key] = item
        elif key not in ("connect_timeout", "application_name", "TimeZone", "timezone"):
            raise ConfigError(f"unknown parameter {key[:40]!r} in the database's URL")
    return url.set(drivername="postgresql+asyncpg", query=query)


def _engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        # One connection: SQLite has one writer anyway, and waiting here is fair and bounded.
        engine = create_async_engine(
            url,
            pool_size=1,
            max_overflow=0,
            pool_timeout=CONNECT_TIMEOUT_S,
            connect_args={"timeout": SQLITE_BUSY_S},
            hide_parameters=True,
        )
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    return create_async_engine(
        url,
        pool_size=POOL_IDLE,
        max_overflow=POOL_OPEN - POOL_IDLE,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_pre_ping=True,
        connect_args={"timeout": CONNECT_TIMEOUT_S, "command_timeout": COMMAND_TIMEOUT_S},
        hide_parameters=True,
    )


# Any: the driver's connection has no common type.
def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where we say, schema changes included
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


# Any: as above.
def _begin_sqlite(connection: Any) -> None:
    # A transaction that reads first and writes later would fail when another wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_shutdown(error: DBAPIError) -> bool:
    # 57P01 to 57P03: PostgreSQL shuts down, crashed, or is still starting.
    return str(getattr(error.orig, "sqlstate", "")).startswith(("57P", "08"))


def _unavailable(error: BaseException) -> UnavailableError:
    _log.warning("database_unavailable cause=%s", _cause(error))
    return UnavailableError("the database does not answer, try again")


def _cause(error: BaseException) -> str:
    """Name an error without its statement, parameters or anything from a URL."""
    origin = getattr(error, "orig", None) or error
    return type(origin).__name__
