# SPDX-License-Identifier: MIT
"""Builders: the machines of the network, by name and by the address they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.builder_hub.errors import BadRequestError, ConflictError
from buildernet.builder_hub.limits import MAX_BUILDERS
from buildernet.builder_hub.named_rows import get_row, require_new, retire_row, switch_row
from buildernet.builder_hub.names import parse_dns_name, parse_ip, parse_name
from buildernet.builder_hub.paging import FIRST_PAGE, Page
from buildernet.builder_hub.schema import BUILDERS, CONFIGURATIONS, EVIDENCE, REGISTRATIONS


@dataclass(frozen=True, slots=True)
class Builder:
    """One builder."""

    name: str
    ip_address: str
    dns_name: str | None
    network: str
    is_active: bool = False
    created_at_ms: int = 0
    updated_at_ms: int = 0
    deprecated_at_ms: int | None = None


def parse_builder(document: Mapping[str, Any]) -> Builder:
    """Read a builder as the admin API takes it.

    Raises:
        BadRequestError: A part is missing or malformed.
    """
    if not document.get("network"):
        raise BadRequestError("network field is required")
    return Builder(
        name=parse_name(document.get("name"), "name"),
        ip_address=parse_ip(document.get("ip_address")),
        dns_name=parse_dns_name(document.get("dns_name")),
        network=parse_name(document["network"], "network"),
    )


async def add_builder(connection: AsyncConnection, builder: Builder, *, at_ms: int) -> None:
    """Add a builder, inactive.

    Raises:
        ConflictError: The name is taken, also by a deleted one.
    """
    await require_new(connection, BUILDERS, builder.name, what="builder")
    await connection.execute(
        insert(BUILDERS).values(
            name=builder.name,
            ip_address=builder.ip_address,
            dns_name=builder.dns_name,
            network=builder.network,
            is_active=False,
            created_at_ms=at_ms,
            updated_at_ms=at_ms,
        )
    )


async def update_builder(connection: AsyncConnection, builder: Builder, *, at_ms: int) -> None:
    """Change addresses and network of a builder.

    Raises:
        UnknownError: There is no such builder, or it was deleted.
        ConflictError: It is active, and another active one has this address.
    """
    known = await lock_builder(connection, builder.name)
    if known.is_active:
        await _require_free_address(connection, builder)
    await connection.execute(
        update(BUILDERS)
        .where(BUILDERS.c.name == builder.name)
        .values(
            ip_address=builder.ip_address,
            dns_name=builder.dns_name,
            network=builder.network,
            updated_at_ms=at_ms,
        )
    )


async def get_builder(connection: AsyncConnection, name: str) -> Builder:
    """Return a builder that was not deleted.

    Raises:
        UnknownError: There is none.
    """
    return _builder(await get_row(connection, BUILDERS, name, what="builder"))


async def lock_builder(connection: AsyncConnection, name: str) -> Builder:
    """Return a builder as `get_builder`; until this transaction ends nobody else changes it.

    Whatever replaces something of a builder begins so: the last one wins, none fails.

    Raises:
        UnknownError: There is none.
    """
    return _builder(await get_row(connection, BUILDERS, name, what="builder", lock=True))


async def find_active(
    connection: AsyncConnection, ip_address: str, *, lock: bool = False
) -> Builder | None:
    """Return the active builder at an address; there is at most one.

    Args:
        connection: A transaction.
        ip_address: In its normal form.
        lock: Let nobody else change it until this transaction ends.
    """
    query = select(BUILDERS).where(BUILDERS.c.ip_address == ip_address, BUILDERS.c.is_active)
    # SQLite has one writer, and every transaction is one: nothing to lock.
    if lock:
        query = query.with_for_update(key_share=True)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else _builder(row)


async def list_builders(connection: AsyncConnection, page: Page = FIRST_PAGE) -> Sequence[Builder]:
    """Return builders by name, deleted ones included."""
    query = page.by_name(select(BUILDERS), BUILDERS.c.name)
    return [_builder(row) for row in (await connection.execute(query)).mappings()]


async def list_active_builders(connection: AsyncConnection, network: str) -> Sequence[Builder]:
    """Return all active builders of a network by name, at most `MAX_BUILDERS`."""
    query = select(BUILDERS).where(BUILDERS.c.network == network, BUILDERS.c.is_active)
    rows = await connection.execute(query.order_by(BUILDERS.c.name))
    return [_builder(row) for row in rows.mappings()]


async def activate_builder(
    connection: AsyncConnection, name: str, *, enabled: bool, at_ms: int
) -> None:
    """Let a builder in, or keep it out; keeping out always works.

    Raises:
        UnknownError: There is no such builder.
        BadRequestError: It is to be enabled and has no configuration.
        ConflictError: It is to be enabled and another active builder has its address, or
            `MAX_BUILDERS` are active.
    """
    builder = await lock_builder(connection, name)
    if enabled:
        await _require_room(connection, name)
        configured = await connection.execute(
            select(CONFIGURATIONS.c.id).where(
                CONFIGURATIONS.c.builder_name == name, CONFIGURATIONS.c.is_active
            )
        )
        if configured.first() is None:
            raise BadRequestError(
                "active config not found: please set config for the builder first"
            )
        await _require_free_address(connection, builder)
    await switch_row(connection, BUILDERS, name, enabled=enabled, at_ms=at_ms)


async def delete_builder(connection: AsyncConnection, name: str, *, at_ms: int) -> None:
    """Take a builder out for good: its row and history stay, its name is not given again.

    Raises:
        UnknownError: There is no such builder.
    """
    await lock_builder(connection, name)
    await retire_row(connection, BUILDERS, name, at_ms=at_ms)
    await connection.execute(
        update(REGISTRATIONS)
        .where(REGISTRATIONS.c.builder_name == name, REGISTRATIONS.c.is_active)
        .values(is_active=False, deprecated_at_ms=at_ms)
    )
    await connection.execute(
        update(EVIDENCE).where(EVIDENCE.c.builder_name == name).values(is_active=False)
    )


async def _require_room(connection: AsyncConnection, name: str) -> None:
    query = select(func.count()).where(BUILDERS.c.is_active, BUILDERS.c.name != name)
    if ((await connection.execute(query)).scalar() or 0) >= MAX_BUILDERS:
        raise ConflictError(f"{MAX_BUILDERS} builders are active already")


async def _require_free_address(connection: AsyncConnection, builder: Builder) -> None:
    other = await find_active(connection, builder.ip_address)
    if other is not None and other.name != builder.name:
        raise ConflictError(f"active builder {other.name} has the address {builder.ip_address}")


def _builder(row: RowMapping) -> Builder:
    return Builder(**row)
