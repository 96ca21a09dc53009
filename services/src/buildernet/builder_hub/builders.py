# SPDX-License-Identifier: MIT
"""Builders: the machines of the network, by name and by the address they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.builder_hub.errors import BadRequestError, ConflictError
from buildernet.builder_hub.limits import MAX_BUILDERS
from buildernet.builder_hub.named_rows import get_row, require_new, retire_row, switch_row
from buildernet.builder_hub.names import parse_dns_name, parse_ip, parse_name
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
    known = await get_builder(connection, builder.name)
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


async def find_active(connection: AsyncConnection, ip_address: str) -> Builder | None:
    """Return the active builder at an address; there is at most one."""
    query = select(BUILDERS).where(BUILDERS.c.ip_address == ip_address, BUILDERS.c.is_active)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else _builder(row)


async def list_builders(
    connection: AsyncConnection, *, network: str | None = None, active_only: bool = False
) -> Sequence[Builder]:
    """Return builders by name, deleted ones included unless only active ones are wanted."""
    query = select(BUILDERS).order_by(BUILDERS.c.name).limit(MAX_BUILDERS)
    if network is not None:
        query = query.where(BUILDERS.c.network == network)
    if active_only:
        query = query.where(BUILDERS.c.is_active)
    return [_builder(row) for row in (await connection.execute(query)).mappings()]


async def activate_builder(
    connection: AsyncConnection, name: str, *, enabled: bool, at_ms: int
) -> None:
    """Let a builder in, or keep it out; keeping out always works.

    Raises:
        UnknownError: There is no such builder.
        BadRequestError: It is to be enabled and has no configuration.
        ConflictError: It is to be enabled and another active builder has its address.
    """
    builder = await get_builder(connection, name)
    if enabled:
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
    await get_builder(connection, name)
    await retire_row(connection, BUILDERS, name, at_ms=at_ms)
    await connection.execute(
        update(REGISTRATIONS)
        .where(REGISTRATIONS.c.builder_name == name, REGISTRATIONS.c.is_active)
        .values(is_active=False, deprecated_at_ms=at_ms)
    )
    await connection.execute(
        update(EVIDENCE).where(EVIDENCE.c.builder_name == name).values(is_active=False)
    )


async def _require_free_address(connection: AsyncConnection, builder: Builder) -> None:
    other = await find_active(connection, builder.ip_address)
    if other is not None and other.name != builder.name:
        raise ConflictError(f"active builder {other.name} has the address {builder.ip_address}")


def _builder(row: RowMapping) -> Builder:
    return Builder(**row)
