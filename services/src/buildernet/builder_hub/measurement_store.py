# SPDX-License-Identifier: MIT
"""Measurements in the database."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.builder_hub.measurements import Measurement, parse_stored, stored_document
from buildernet.builder_hub.named_rows import get_row, require_new, retire_row, switch_row
from buildernet.builder_hub.paging import FIRST_PAGE, Page
from buildernet.builder_hub.schema import MEASUREMENTS


@dataclass(frozen=True, slots=True)
class StoredMeasurement:
    """A measurement and what happened to it."""

    measurement: Measurement
    is_active: bool
    created_at_ms: int
    updated_at_ms: int
    deprecated_at_ms: int | None


async def add_measurement(
    connection: AsyncConnection, measurement: Measurement, *, at_ms: int
) -> None:
    """Add a measurement, inactive.

    Raises:
        ConflictError: Its name is taken, also by a deleted one.
    """
    await require_new(connection, MEASUREMENTS, measurement.name, what="measurement")
    await connection.execute(
        insert(MEASUREMENTS).values(
            name=measurement.name,
            attestation_type=measurement.attestation_type,
            document=stored_document(measurement),
            is_active=False,
            created_at_ms=at_ms,
            updated_at_ms=at_ms,
        )
    )


async def list_active(connection: AsyncConnection) -> Sequence[Measurement]:
    """Return the measurements that callers may have, in the order they were added."""
    query = select(MEASUREMENTS).where(MEASUREMENTS.c.is_active).order_by(MEASUREMENTS.c.id)
    return [_measurement(row) for row in (await connection.execute(query)).mappings()]


async def list_measurements(
    connection: AsyncConnection, page: Page = FIRST_PAGE
) -> Sequence[StoredMeasurement]:
    """Return all of them, deleted ones included, newest first."""
    query = page.newest_first(select(MEASUREMENTS), MEASUREMENTS.c.id)
    return [_stored(row) for row in (await connection.execute(query)).mappings()]


async def activate_measurement(
    connection: AsyncConnection, name: str, *, enabled: bool, at_ms: int
) -> None:
    """Let an image in, or keep it out.

    Raises:
        UnknownError: There is no such measurement.
    """
    await _lock(connection, name)
    await switch_row(connection, MEASUREMENTS, name, enabled=enabled, at_ms=at_ms)


async def delete_measurement(connection: AsyncConnection, name: str, *, at_ms: int) -> None:
    """Take a measurement out for good; its row stays, for what it once let in.

    Raises:
        UnknownError: There is no such measurement.
    """
    await _lock(connection, name)
    await retire_row(connection, MEASUREMENTS, name, at_ms=at_ms)


async def _lock(connection: AsyncConnection, name: str) -> None:
    """Keep others from changing it meanwhile: else one that is deleted could be let in again."""
    await get_row(connection, MEASUREMENTS, name, what="measurement", lock=True)


def _stored(row: RowMapping) -> StoredMeasurement:
    return StoredMeasurement(
        _measurement(row),
        row["is_active"],
        row["created_at_ms"],
        row["updated_at_ms"],
        row["deprecated_at_ms"],
    )


def _measurement(row: RowMapping) -> Measurement:
    return parse_stored(row["id"], row["name"], row["attestation_type"], row["document"])
