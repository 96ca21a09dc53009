# SPDX-License-Identifier: MIT
"""One database, PostgreSQL or SQLite, and transactions that say clearly when it does not answer."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from sqlalchemy import URL, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from buildernet.base.errors import ConfigError
from buildernet.builder_hub.database_errors import cause, is_unavailable, takes_no_writes
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
_TLS_MODES: Final = frozenset({"require", "verify-ca", "verify-full"})
_SSL_MODES: Final = frozenset({"disable", "allow", "prefer"}) | _TLS_MODES
_TLS_FILES: Final = frozenset({"sslrootcert", "sslcert", "sslkey"})

CONNECT_TIMEOUT: Final = "connect_timeout"
MAX_CONNECT_S: Final = 60
"""Who waits longer for a connection has been answered 503 by then."""

_ASK: Final = text("SELECT 1")
_WRITE: Final = text("UPDATE alembic_version SET version_num = version_num")

_log = logging.getLogger(__name__)


class Database:
    """Hands out transactions; one pool of connections, which outlives the server's restarts."""

    def __init__(self, url: URL) -> None:
        """Prepare the pool; nothing is connected yet."""
        self.engine = _engine(url)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.name = url.render_as_string(hide_password=True)
        """For people; never holds the password."""
        self._is_read_only = False
        self._question: asyncio.Task[str | None] | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection; everything done with it is kept if the block ends well, else nothing.

        Raises:
            UnavailableError: The database does not answer, or takes no writes.
            ConflictError: What was written contradicts what is there already.
        """
        try:
            async with self.engine.begin() as connection:
                yield connection
        except IntegrityError as exc:
            raise ConflictError("it contradicts what is there already") from exc
        except (SQLAlchemyError, OSError) as exc:  # TimeoutError is an OSError
            if not is_unavailable(exc):
                raise
            raise self._unavailable(exc) from exc

    async def ping(self) -> str | None:
        """Return why the database cannot be used; None when it can.

        Once it refused a write it cannot, until it takes one. Answers within `PING_TIMEOUT_S`;
        whoever asks meanwhile gets the same answer, so that a dead database is asked once.
        """
        question = self._question
        if question is None or question.done():
            question = self._question = asyncio.create_task(self._ask())
        # Not awaited itself: closing a connection that hangs takes further seconds.
        done, _ = await asyncio.wait({question}, timeout=PING_TIMEOUT_S)
        return question.result() if done else TimeoutError.__name__

    async def close(self) -> None:
        """Close every connection."""
        if self._question is not None:
            self._question.cancel()
            await asyncio.wait({self._question})
        await self.engine.dispose()

    async def _ask(self) -> str | None:
        was_read_only = self._is_read_only
        try:
            async with asyncio.timeout(PING_TIMEOUT_S), self.engine.begin() as connection:
                await connection.execute(_WRITE if was_read_only else _ASK)
        except (SQLAlchemyError, OSError) as exc:
            return cause(exc)
        if was_read_only:
            self._is_read_only = False
        return None

    def _unavailable(self, error: BaseException) -> UnavailableError:
        _log.warning("database_unavailable cause=%s", cause(error))
        if takes_no_writes(error):
            self._is_read_only = True
            return UnavailableError("the database takes no writes, try again later")
        return UnavailableError("the database does not answer, try again")


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
    files: dict[str, str] = {}
    for key, item in parse_qsl(urlsplit(value).query, keep_blank_values=True):
        if key == "sslmode":
            if item not in _SSL_MODES:
                raise ConfigError(f"unknown sslmode {item[:40]!r}")
            query["ssl"] = item
        elif key in _TLS_FILES:
            if not Path(item).is_file():
                raise ConfigError(f"{key} {item[:80]!r} is no file")
            files[key] = item
        elif key == CONNECT_TIMEOUT:
            if not (item.isascii() and item.isdigit() and 1 <= int(item[:4]) <= MAX_CONNECT_S):
                raise ConfigError(f"connect_timeout is not a number from 1 to {MAX_CONNECT_S}")
            query[key] = item
        elif key in ("host", "port"):
            query[key] = item
        elif key not in ("application_name", "TimeZone", "timezone"):
            raise ConfigError(f"unknown parameter {key[:40]!r} in the database's URL")
    if files:
        if query.get("ssl") not in _TLS_MODES:
            raise ConfigError(
                "the database's URL names files for TLS but does not demand it",
                hint="sslmode=verify-full",
            )
        # asyncpg reads these only from a URL of its own; what else is given wins over that.
        query["dsn"] = f"postgresql://?{urlencode(files)}"
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
    connect_s = float(str(url.query.get(CONNECT_TIMEOUT, CONNECT_TIMEOUT_S)))
    return create_async_engine(
        url.difference_update_query([CONNECT_TIMEOUT]),
        pool_size=POOL_IDLE,
        max_overflow=POOL_OPEN - POOL_IDLE,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_pre_ping=True,
        connect_args={"timeout": connect_s, "command_timeout": COMMAND_TIMEOUT_S},
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
