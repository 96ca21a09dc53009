# SPDX-License-Identifier: MIT
"""What rows with a name have in common: builders and measurements, which are never really deleted.

A name is given once: the row of a deleted one stays, for what it once let in.
"""

from sqlalchemy import RowMapping, Table, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.builder_hub.errors import ConflictError, UnknownError


async def require_new(connection: AsyncConnection, table: Table, name: str, *, what: str) -> None:
    """Raise unless a name was never given.

    Raises:
        ConflictError: It is taken, also by a deleted one.
    """
    if await _find(connection, table, name) is not None:
        raise ConflictError(f"{what} {name} exists already")


async def get_row(
    connection: AsyncConnection, table: Table, name: str, *, what: str, lock: bool = False
) -> RowMapping:
    """Return a row that was not deleted.

    Args:
        connection: A transaction.
        table: Of rows with a name.
        name: Of the row.
        what: Such a row is, in the error.
        lock: Let nobody else change it until this transaction ends.

    Raises:
        UnknownError: There is none.
    """
    row = await _find(connection, table, name, lock=lock)
    if row is None or row["deprecated_at_ms"] is not None:
        raise UnknownError(f"no {what} {name[:80]}")
    return row


async def switch_row(
    connection: AsyncConnection, table: Table, name: str, *, enabled: bool, at_ms: int
) -> None:
    """Make a row active, or not."""
    await connection.execute(
        update(table).where(table.c.name == name).values(is_active=enabled, updated_at_ms=at_ms)
    )


async def retire_row(connection: AsyncConnection, table: Table, name: str, *, at_ms: int) -> None:
    """Take a row out for good."""
    await connection.execute(
        update(table)
        .where(table.c.name == name)
        .values(is_active=False, deprecated_at_ms=at_ms, updated_at_ms=at_ms)
    )


async def _find(
    connection: AsyncConnection, table: Table, name: str, *, lock: bool = False
) -> RowMapping | None:
    query = select(table).where(table.c.name == name)
    # SQLite has one writer, and every transaction is one: nothing to lock.
    if lock:
        query = query.with_for_update(key_share=True)
    return (await connection.execute(query)).mappings().first()
