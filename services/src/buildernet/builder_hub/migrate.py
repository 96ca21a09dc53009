# SPDX-License-Identifier: MIT
"""Brings a database to the schema of this version: one transaction, one process at a time.

The versions ship inside the package. There is no way back: restore a backup instead.
"""

import logging
from pathlib import Path
from typing import Final

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from buildernet.builder_hub.database import Database
from buildernet.builder_hub.database_start import reason
from buildernet.builder_hub.errors import MigrationError
from buildernet.builder_hub.schema import METADATA

VERSIONS: Final = Path(__file__).parent / "migrations"

_LOCK: Final = 0x6275696C64657268
"""Key of the advisory lock that migrating processes wait for ("builderh")."""

_log = logging.getLogger(__name__)


async def migrate(database: Database) -> tuple[str | None, str]:
    """Apply what is missing, waiting for another process that does the same.

    Returns:
        The version before (None for an empty database) and the version now.

    Raises:
        MigrationError: The database was migrated by a newer version, or a step failed.
        UnavailableError: The database does not answer.
    """
    async with database.transaction() as connection:
        before, after = await connection.run_sync(_upgrade)
    if before != after:
        _log.info("database_migrated before=%s after=%s", before, after)
    return before, after


async def version(database: Database) -> str | None:
    """Return the version a database has; None when it is empty."""
    async with database.transaction() as connection:
        return await connection.run_sync(
            lambda sync: MigrationContext.configure(sync).get_current_revision()
        )


def newest() -> str:
    """Return the newest version this program knows."""
    head = _scripts().get_current_head()
    if head is None:
        raise MigrationError("the package holds no migrations")
    return head


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells each step of its own work
    # SQLite's BEGIN IMMEDIATE is such a lock already.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    scripts = _scripts()
    try:
        before = MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as exc:
        raise MigrationError(f"the database's version cannot be read: {reason(exc)}") from exc
    head = newest()

    def steps(revision: str, _context: MigrationContext) -> list[RevisionStep]:
        return scripts._upgrade_revs(head, revision)  # what `alembic upgrade` calls

    try:
        with EnvironmentContext(Config(), scripts, fn=steps) as environment:
            environment.configure(
                connection=connection, target_metadata=METADATA, transactional_ddl=True
            )
            environment.run_migrations()
    except CommandError as exc:
        raise MigrationError(
            f"the database has the unknown version {before}",
            hint="it belongs to a newer builder-hub; start that one, or restore a backup",
        ) from exc
    except SQLAlchemyError as exc:
        raise MigrationError(
            f"a migration after {before} failed: {reason(exc)}",
            hint="the database's user must own it: it makes and changes the tables",
        ) from exc
    return before, head


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(VERSIONS), version_locations=[str(VERSIONS / "versions")])
