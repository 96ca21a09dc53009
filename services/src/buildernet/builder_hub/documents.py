# SPDX-License-Identifier: MIT
"""Configurations and secrets of builders: the newest counts, the older ones are kept."""

import json
import math
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.builder_hub.builders import lock_builder
from buildernet.builder_hub.errors import BadRequestError, UnknownError
from buildernet.builder_hub.limits import MAX_JSON_DEPTH
from buildernet.builder_hub.paging import FIRST_PAGE, Page
from buildernet.builder_hub.schema import CONFIGURATIONS, SECRETS
from buildernet.builder_hub.sealing import Sealed, Sealer

NO_SECRETS: Final = b"{}"
"""What a builder without secrets gets, as from the reference's secret stores."""


# Any: what JSON holds.
def parse_json(data: bytes, what: str = "failed to unmarshal request body") -> Any:
    """Read JSON of any kind: no NaN, no infinite number, no lone surrogates or endless nesting.

    Raises:
        BadRequestError: It is no JSON.
    """
    try:
        document = json.loads(data.decode(), parse_constant=_refuse, parse_float=_finite)
        _require_depth(document, MAX_JSON_DEPTH)
        json.dumps(document, ensure_ascii=False).encode()  # lone surrogates
    except (ValueError, RecursionError) as exc:
        raise BadRequestError(what) from exc
    return document


# Any: as above.
def parse_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        BadRequestError: It is no JSON, or no object.
    """
    document = parse_json(data)
    if not isinstance(document, dict):
        raise BadRequestError("the request's body is not a JSON object")
    return document


async def set_configuration(
    connection: AsyncConnection, builder: str, document: bytes, *, at_ms: int
) -> None:
    """Make a document the configuration of a builder.

    Raises:
        BadRequestError: It is no JSON.
        UnknownError: There is no such builder.
    """
    parse_json(document, "invalid json")
    await lock_builder(connection, builder)
    await connection.execute(
        update(CONFIGURATIONS)
        .where(CONFIGURATIONS.c.builder_name == builder, CONFIGURATIONS.c.is_active)
        .values(is_active=False)
    )
    await connection.execute(
        insert(CONFIGURATIONS).values(
            builder_name=builder, document=document.decode(), is_active=True, created_at_ms=at_ms
        )
    )


async def get_configuration(connection: AsyncConnection, builder: str) -> str:
    """Return the configuration as it was sent.

    Raises:
        UnknownError: There is none.
    """
    query = select(CONFIGURATIONS.c.document).where(
        CONFIGURATIONS.c.builder_name == builder, CONFIGURATIONS.c.is_active
    )
    document = (await connection.execute(query)).scalar()
    if document is None:
        raise UnknownError(f"no active configuration of {builder[:80]}")
    return str(document)


async def list_configurations(
    connection: AsyncConnection, builder: str, page: Page = FIRST_PAGE
) -> Sequence[dict[str, Any]]:
    """Return past and present configurations, newest first."""
    query = select(
        CONFIGURATIONS.c.id,
        CONFIGURATIONS.c.is_active,
        CONFIGURATIONS.c.created_at_ms,
        CONFIGURATIONS.c.document,
    ).where(CONFIGURATIONS.c.builder_name == builder)
    query = page.newest_first(query, CONFIGURATIONS.c.id)
    rows = (await connection.execute(query)).mappings()
    return [{**row, "document": json.loads(row["document"])} for row in rows]


async def set_secrets(
    connection: AsyncConnection, builder: str, document: bytes, *, sealer: Sealer, at_ms: int
) -> None:
    """Encrypt a document and make it the secrets of a builder.

    Raises:
        BadRequestError: It is no JSON object.
        UnknownError: There is no such builder.
    """
    parse_object(document)
    await lock_builder(connection, builder)
    await connection.execute(
        update(SECRETS)
        .where(SECRETS.c.builder_name == builder, SECRETS.c.is_active)
        .values(is_active=False)
    )
    sealed = sealer.seal(document, builder=builder)
    await connection.execute(
        insert(SECRETS).values(
            builder_name=builder,
            key_id=sealed.key_id,
            sealed=sealed.data,
            is_active=True,
            created_at_ms=at_ms,
        )
    )


async def get_secrets(connection: AsyncConnection, builder: str, *, sealer: Sealer) -> bytes | None:
    """Return the secrets of a builder as they were sent; None if it has none.

    Raises:
        SealError: They cannot be decrypted.
    """
    query = select(SECRETS.c.key_id, SECRETS.c.sealed).where(
        SECRETS.c.builder_name == builder, SECRETS.c.is_active
    )
    row = (await connection.execute(query)).first()
    return None if row is None else sealer.open(Sealed(*row), builder=builder)


async def rotate_secrets(connection: AsyncConnection, *, sealer: Sealer) -> int:
    """Encrypt everything that an older key encrypts with the newest one; return how many.

    Raises:
        SealError: Something cannot be decrypted; nothing is changed then.
    """
    query = select(SECRETS).where(SECRETS.c.key_id != sealer.newest)
    rows = (await connection.execute(query)).mappings().all()
    for row in rows:
        builder = row["builder_name"]
        document = sealer.open(Sealed(row["key_id"], row["sealed"]), builder=builder)
        sealed = sealer.seal(document, builder=builder)
        await connection.execute(
            update(SECRETS)
            .where(SECRETS.c.id == row["id"])
            .values(key_id=sealed.key_id, sealed=sealed.data)
        )
    return len(rows)


async def forget_sealed(connection: AsyncConnection, *, key_id: str) -> None:
    """Drop what was encrypted with a key that is gone."""
    await connection.execute(delete(SECRETS).where(SECRETS.c.key_id == key_id))


async def has_secrets(connection: AsyncConnection) -> bool:
    """Whether anything is encrypted in this database."""
    return (await connection.execute(select(SECRETS.c.id).limit(1))).first() is not None


def _require_depth(document: object, left: int) -> None:
    if left == 0:
        raise ValueError("nested too deeply")
    if isinstance(document, dict):
        for value in document.values():
            _require_depth(value, left - 1)
    elif isinstance(document, list):
        for value in document:
            _require_depth(value, left - 1)


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refuse(number[:40])


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
