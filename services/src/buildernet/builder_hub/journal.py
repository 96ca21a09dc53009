# SPDX-License-Identifier: MIT
"""Two logs in the database: what instances were given (events), and what admins did (audit).

An audit record is written in the transaction of the change it tells of. Neither holds secrets: of
a document it tells length and hash.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.builder_hub.paging import FIRST_PAGE, Page
from buildernet.builder_hub.schema import AUDIT, EVENTS, MEASUREMENTS

GET_CONFIG: Final = "GetConfig"
"""The reference's name of this event."""
REGISTER: Final = "RegisterCredentials"
ATTEST: Final = "TeeAttestation"

MAX_ACTOR: Final = 255
MAX_SUBJECT: Final = 255


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something through the admin listener."""

    user: str
    address: str


async def write_event(
    connection: AsyncConnection, name: str, *, builder: str, measurement_id: int | None, at_ms: int
) -> None:
    """Note what an instance did."""
    await connection.execute(
        insert(EVENTS).values(
            event_name=name,
            builder_name=builder,
            measurement_id=measurement_id,
            created_at_ms=at_ms,
        )
    )


async def write_audit(
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    subject: str,
    *,
    at_ms: int,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Note what an admin does, in the same transaction."""
    await connection.execute(
        insert(AUDIT).values(
            at_ms=at_ms,
            actor=actor.user[:MAX_ACTOR],
            address=actor.address,
            action=action,
            subject=subject[:MAX_SUBJECT],
            detail=json.dumps(detail or {}, sort_keys=True),
        )
    )


def fingerprint(document: bytes) -> dict[str, object]:
    """Return what the audit tells about a document."""
    return {"bytes": len(document), "sha256": hashlib.sha256(document).hexdigest()}


# Any: rows of JSON, for handlers and pages alike.
async def list_events(
    connection: AsyncConnection, page: Page = FIRST_PAGE, *, builder: str | None = None
) -> Sequence[dict[str, Any]]:
    """Return events, newest first."""
    query = select(
        EVENTS.c.id,
        EVENTS.c.event_name,
        EVENTS.c.builder_name,
        MEASUREMENTS.c.name.label("measurement_id"),
        EVENTS.c.created_at_ms,
    ).join(MEASUREMENTS, EVENTS.c.measurement_id == MEASUREMENTS.c.id, isouter=True)
    if builder is not None:
        query = query.where(EVENTS.c.builder_name == builder)
    query = page.newest_first(query, EVENTS.c.id)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def list_audit(
    connection: AsyncConnection, page: Page = FIRST_PAGE, *, subject: str | None = None
) -> Sequence[dict[str, Any]]:
    """Return audit records, newest first."""
    query = page.newest_first(select(AUDIT), AUDIT.c.id)
    if subject is not None:
        query = query.where(AUDIT.c.subject == subject)
    rows = (await connection.execute(query)).mappings()
    return [{**row, "detail": json.loads(row["detail"])} for row in rows]


async def drop_events(connection: AsyncConnection, *, before_ms: int) -> int:
    """Forget events older than a moment; return how many."""
    result = await connection.execute(delete(EVENTS).where(EVENTS.c.created_at_ms < before_ms))
    return result.rowcount
