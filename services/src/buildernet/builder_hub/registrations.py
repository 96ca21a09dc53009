# SPDX-License-Identifier: MIT
"""Registered credentials in the database, and the list of builders that carries them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.builder_hub.builders import list_builders
from buildernet.builder_hub.credentials import Credentials
from buildernet.builder_hub.errors import UnknownError
from buildernet.builder_hub.limits import DEFAULT_PAGE, KEPT_REGISTRATIONS
from buildernet.builder_hub.schema import BUILDERS, REGISTRATIONS


async def register(
    connection: AsyncConnection,
    credentials: Credentials,
    *,
    builder: str,
    service: str,
    measurement_id: int | None,
    at_ms: int,
) -> None:
    """Make credentials the ones of a builder's service; the same ones again change nothing."""
    # One registration of a builder at a time: the last one wins, none fails.
    await connection.execute(
        select(BUILDERS.c.name).where(BUILDERS.c.name == builder).with_for_update()
    )
    mine = (REGISTRATIONS.c.builder_name == builder) & (REGISTRATIONS.c.service == service)
    row = (
        await connection.execute(select(REGISTRATIONS).where(mine, REGISTRATIONS.c.is_active))
    ).first()
    values = {
        "tls_cert": credentials.tls_cert,
        "ecdsa_address": credentials.ecdsa_address,
        "region": credentials.region,
        "is_proved": credentials.is_proved,
        "measurement_id": measurement_id,
    }
    if row is not None and all(row._mapping[name] == value for name, value in values.items()):
        return
    await connection.execute(
        update(REGISTRATIONS)
        .where(mine, REGISTRATIONS.c.is_active)
        .values(is_active=False, deprecated_at_ms=at_ms)
    )
    await connection.execute(
        insert(REGISTRATIONS).values(
            builder_name=builder, service=service, is_active=True, created_at_ms=at_ms, **values
        )
    )
    kept = (
        select(REGISTRATIONS.c.id)
        .where(mine)
        .order_by(REGISTRATIONS.c.id.desc())
        .limit(KEPT_REGISTRATIONS)
    )
    await connection.execute(delete(REGISTRATIONS).where(mine, REGISTRATIONS.c.id.not_in(kept)))


async def deactivate_registration(
    connection: AsyncConnection, number: int, *, at_ms: int
) -> Mapping[str, Any]:
    """Take a registration back, and return builder and service it was for.

    Raises:
        UnknownError: There is no active one of this number.
    """
    query = select(REGISTRATIONS.c.builder_name, REGISTRATIONS.c.service).where(
        REGISTRATIONS.c.id == number, REGISTRATIONS.c.is_active
    )
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise UnknownError(f"no active registration {number}")
    await connection.execute(
        update(REGISTRATIONS)
        .where(REGISTRATIONS.c.id == number)
        .values(is_active=False, deprecated_at_ms=at_ms)
    )
    return dict(row)


# Any: rows of JSON, for handlers and pages alike.
async def list_registrations(
    connection: AsyncConnection,
    *,
    builder: str | None = None,
    before: int | None = None,
    limit: int = DEFAULT_PAGE,
) -> Sequence[dict[str, Any]]:
    """Return past and present registrations, newest first."""
    query = select(REGISTRATIONS).order_by(REGISTRATIONS.c.id.desc()).limit(limit)
    if builder is not None:
        query = query.where(REGISTRATIONS.c.builder_name == builder)
    if before is not None:
        query = query.where(REGISTRATIONS.c.id < before)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def builders_with_services(
    connection: AsyncConnection, network: str
) -> Sequence[dict[str, Any]]:
    """Return the active builders of a network as nodes read them, by name.

    A builder without registrations is in the list, so that a node sees who belongs to the network.
    """
    builders = await list_builders(connection, network=network, active_only=True)
    entries: dict[str, dict[str, Any]] = {
        builder.name: {
            "ip": builder.ip_address,
            "name": builder.name,
            "dns_name": builder.dns_name or "",
        }
        for builder in builders
    }
    query = (
        select(REGISTRATIONS)
        .join(BUILDERS, BUILDERS.c.name == REGISTRATIONS.c.builder_name)
        .where(BUILDERS.c.network == network, BUILDERS.c.is_active, REGISTRATIONS.c.is_active)
        .order_by(REGISTRATIONS.c.service)
    )
    for row in (await connection.execute(query)).mappings():
        fields = {
            "tls_cert": row["tls_cert"],
            "ecdsa_pubkey_address": row["ecdsa_address"],
            "region": row["region"],
        }
        present = {name: value for name, value in fields.items() if value}
        if row["builder_name"] in entries:
            entries[row["builder_name"]][row["service"]] = present
    return list(entries.values())
