# SPDX-License-Identifier: MIT
"""What nodes proved about themselves, in the database, and the list of peers that carries it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.attestation.node.verify import CLOCK_SKEW_S
from buildernet.builder_hub.errors import UnprovedError
from buildernet.builder_hub.limits import KEPT_EVIDENCE
from buildernet.builder_hub.paging import FIRST_PAGE, Page
from buildernet.builder_hub.schema import BUILDERS, EVIDENCE, MEASUREMENTS

_IN_PLACE: Final = BUILDERS.c.is_active & (BUILDERS.c.ip_address == EVIDENCE.c.ip_address)
"""Whether the builder is still where its evidence says."""

_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """Verified evidence about one node."""

    builder_name: str
    node_id: str
    """0x and 64 hexadecimal digits."""
    attestation_type: str
    tls_cert: str
    """PEM."""
    ecdsa_address: str | None
    ip_address: str
    tee_measurement: str
    """0x and the registers in hexadecimal."""
    tee_attestation: bytes
    attested_at: int
    """Unix time in seconds, from the node's statement."""
    received_at_ms: int
    measurement_id: int | None


@dataclass(frozen=True, slots=True)
class Peer:
    """A node and the builder it is."""

    record: NodeRecord
    dns_name: str | None

    def render(self) -> dict[str, object]:
        """Return the PeerInfo of seed 000, with what is needed to verify and to reach the node."""
        record = self.record
        return {
            "node_id": record.node_id,
            "name": record.builder_name,
            "ip_address": record.ip_address,
            "dns_name": self.dns_name or "",
            "attestation_type": record.attestation_type,
            "tls_certificate": record.tls_cert,
            "ecdsa_pubkey_address": record.ecdsa_address or "",
            "tee_measurement": record.tee_measurement,
            "tee_attestation": f"0x{record.tee_attestation.hex()}",
            "timestamp": record.attested_at,
        }


async def store_record(connection: AsyncConnection, record: NodeRecord) -> None:
    """Make a record the newest of its builder, which the caller has locked.

    A node_id belongs to one builder as long as that one is active at the address it proved.

    Raises:
        UnprovedError: The builder has proved itself later, or the image was taken off the list.
        ConflictError: Another builder's node has the same node_id.
    """
    mine = EVIDENCE.c.builder_name == record.builder_name
    await _require_newest(connection, record, mine)
    await _require_active_image(connection, record)
    kept = select(BUILDERS.c.name).where(BUILDERS.c.name == EVIDENCE.c.builder_name, _IN_PLACE)
    abandoned = (EVIDENCE.c.node_id == record.node_id) & ~kept.exists()
    await connection.execute(
        update(EVIDENCE).where(EVIDENCE.c.is_active, mine | abandoned).values(is_active=False)
    )
    await connection.execute(insert(EVIDENCE).values(**asdict(record), is_active=True))
    kept = select(EVIDENCE.c.id).where(mine).order_by(EVIDENCE.c.id.desc()).limit(KEPT_EVIDENCE)
    await connection.execute(delete(EVIDENCE).where(mine, EVIDENCE.c.id.not_in(kept)))


async def list_peers(
    connection: AsyncConnection, network: str, *, attested_after: int
) -> Sequence[Peer]:
    """Return the active builders of a network that have proved themselves lately, by name.

    Evidence of an image that was taken off the list is left out, and so is evidence of a builder
    that moved to another address.
    """
    query = (
        select(EVIDENCE, BUILDERS.c.dns_name)
        .join(BUILDERS, BUILDERS.c.name == EVIDENCE.c.builder_name)
        .join(MEASUREMENTS, MEASUREMENTS.c.id == EVIDENCE.c.measurement_id)
        .where(
            BUILDERS.c.network == network,
            _IN_PLACE,
            MEASUREMENTS.c.is_active,
            EVIDENCE.c.is_active,
            EVIDENCE.c.attested_at >= attested_after,
        )
        .order_by(BUILDERS.c.name)
    )
    rows = (await connection.execute(query)).mappings()
    return [Peer(_record(row), row["dns_name"]) for row in rows]


# Any: rows of JSON, for handlers and pages alike.
async def list_records(
    connection: AsyncConnection, page: Page = FIRST_PAGE
) -> Sequence[dict[str, Any]]:
    """Return the newest record of each builder without its certificate and evidence."""
    query = (
        select(
            EVIDENCE.c.builder_name,
            EVIDENCE.c.node_id,
            EVIDENCE.c.attestation_type,
            EVIDENCE.c.ecdsa_address,
            EVIDENCE.c.ip_address,
            EVIDENCE.c.tee_measurement,
            EVIDENCE.c.attested_at,
            EVIDENCE.c.received_at_ms,
            MEASUREMENTS.c.name.label("measurement_id"),
        )
        .join(MEASUREMENTS, MEASUREMENTS.c.id == EVIDENCE.c.measurement_id, isouter=True)
        .where(EVIDENCE.c.is_active)
    )
    query = page.by_name(query, EVIDENCE.c.builder_name)
    return [dict(row) for row in (await connection.execute(query)).mappings()]


def _record(row: RowMapping) -> NodeRecord:
    names = NodeRecord.__dataclass_fields__
    return NodeRecord(**{name: row[name] for name in names})


async def _require_newest(
    connection: AsyncConnection, record: NodeRecord, mine: ColumnElement[bool]
) -> None:
    # What came from the future was taken while the hub's own clock was wrong: that ends with it.
    present = EVIDENCE.c.attested_at <= record.received_at_ms // _MS + CLOCK_SKEW_S
    query = select(func.max(EVIDENCE.c.attested_at)).where(mine, present)
    newest = (await connection.execute(query)).scalar()
    if newest is not None and record.attested_at < newest:
        raise UnprovedError(f"evidence of {newest - record.attested_at} s later is stored")


async def _require_active_image(connection: AsyncConnection, record: NodeRecord) -> None:
    query = select(MEASUREMENTS.c.is_active).where(MEASUREMENTS.c.id == record.measurement_id)
    if (await connection.execute(query)).scalar() is False:
        raise UnprovedError("the image of the evidence was taken off the list")
