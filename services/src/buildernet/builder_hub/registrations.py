# SPDX-License-Identifier: MIT
"""Registered credentials in the database, and the list of builders that carries them."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from cryptography.x509 import load_pem_x509_certificate
from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.attestation.node import key_digest
from buildernet.builder_hub.builders import list_active_builders
from buildernet.builder_hub.credentials import Credentials
from buildernet.builder_hub.errors import ConflictError, UnknownError
from buildernet.builder_hub.limits import KEPT_REGISTRATIONS
from buildernet.builder_hub.paging import FIRST_PAGE, Page
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
    """Make credentials the ones of a builder's service; the same ones again change nothing.

    The caller has locked the builder.

    Raises:
        ConflictError: An admin took a registration of one of these keys back.
    """
    mine = (REGISTRATIONS.c.builder_name == builder) & (REGISTRATIONS.c.service == service)
    await _require_allowed(connection, credentials, mine)
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
    old = mine & REGISTRATIONS.c.id.not_in(kept) & ~REGISTRATIONS.c.is_refused
    await connection.execute(delete(REGISTRATIONS).where(old))


async def refuse_registration(
    connection: AsyncConnection, number: int, *, at_ms: int
) -> Mapping[str, Any]:
    """Take a registration back and refuse its keys; return builder and service it was for.

    Raises:
        UnknownError: There is no active one of this number.
    """
    return await _change(
        connection,
        (REGISTRATIONS.c.id == number) & REGISTRATIONS.c.is_active,
        f"no active registration {number}",
        is_active=False,
        is_refused=True,
        deprecated_at_ms=at_ms,
    )


async def allow_registration(connection: AsyncConnection, number: int) -> Mapping[str, Any]:
    """Let the keys of a registration that was taken back register again.

    Raises:
        UnknownError: There is no refused one of this number.
    """
    return await _change(
        connection,
        (REGISTRATIONS.c.id == number) & REGISTRATIONS.c.is_refused,
        f"no refused registration {number}",
        is_refused=False,
    )


# Any: rows of JSON, for handlers and pages alike.
async def list_registrations(
    connection: AsyncConnection, page: Page = FIRST_PAGE, *, builder: str | None = None
) -> Sequence[dict[str, Any]]:
    """Return past and present registrations, newest first."""
    query = page.newest_first(select(REGISTRATIONS), REGISTRATIONS.c.id)
    if builder is not None:
        query = query.where(REGISTRATIONS.c.builder_name == builder)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def builders_with_services(
    connection: AsyncConnection, network: str
) -> Sequence[dict[str, Any]]:
    """Return the active builders of a network as nodes read them, by name.

    A builder without registrations is in the list, so that a node sees who belongs to the network.
    """
    builders = await list_active_builders(connection, network)
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


async def _change(
    connection: AsyncConnection, which: ColumnElement[bool], missing: str, **values: object
) -> Mapping[str, Any]:
    owner = select(REGISTRATIONS.c.builder_name).where(which).scalar_subquery()
    # A registration under way is stored before, or sees this.
    await connection.execute(
        select(BUILDERS).where(BUILDERS.c.name == owner).with_for_update(key_share=True)
    )
    changed = (
        update(REGISTRATIONS)
        .where(which)
        .values(**values)
        .returning(REGISTRATIONS.c.builder_name, REGISTRATIONS.c.service)
    )
    row = (await connection.execute(changed)).mappings().first()
    if row is None:
        raise UnknownError(missing)
    return dict(row)


async def _require_allowed(
    connection: AsyncConnection, credentials: Credentials, mine: ColumnElement[bool]
) -> None:
    query = select(
        REGISTRATIONS.c.id, REGISTRATIONS.c.ecdsa_address, REGISTRATIONS.c.tls_cert
    ).where(mine, REGISTRATIONS.c.is_refused)
    tls_key = _tls_key(credentials.tls_cert)
    for number, address, certificates in await connection.execute(query):
        is_address = address is not None and address == credentials.ecdsa_address
        if is_address or (tls_key is not None and tls_key == _tls_key(certificates)):
            raise ConflictError(f"registration {number} of this key was taken back by an admin")


def _tls_key(certificates: str | None) -> bytes | None:
    """Return what tells a key; of text that is no certificate, its hash."""
    if certificates is None:
        return None
    try:
        return key_digest(load_pem_x509_certificate(certificates.encode()))
    except ValueError:
        return sha256(certificates.encode()).digest()
