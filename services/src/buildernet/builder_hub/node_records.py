# SPDX-License-Identifier: MIT
"""What nodes proved about themselves, in the database, and the list of peers that carries it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from buildernet.builder_hub.limits import KEPT_EVIDENCE, MAX_BUILDERS
from buildernet.builder_hub.schema import BUILDERS, EVIDENCE, MEASUREMENTS


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
    """Make a record the newest of its builder.

    Raises:
        IntegrityError: Another builder's node has the same node_id.
    """
    name = record.builder_name
    await connection.execute(
        select(BUILDERS.c.name).where(BUILDERS.c.name == name).with_for_update()
    )
    mine = EVIDENCE.c.builder_name == name
    await connection.execute(update(EVIDENCE).where(mine).values(is_active=False))
    await connection.execute(
        insert(EVIDENCE).values(
            builder_name=name,
            node_id=record.node_id,
            attestation_type=record.attestation_type,
            tls_cert=record.tls_cert,
            ecdsa_address=record.ecdsa_address,
            ip_address=record.ip_address,
            tee_measurement=record.tee_measurement,
            tee_attestation=record.tee_attestation,
            attested_at=record.attested_at,
            received_at_ms=record.received_at_ms,
            measurement_id=record.measurement_id,
            is_active=True,
        )
    )
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
            BUILDERS.c.is_active,
            BUILDERS.c.ip_address == EVIDENCE.c.ip_address,
            MEASUREMENTS.c.is_active,
            EVIDENCE.c.is_active,
            EVIDENCE.c.attested_at >= attested_after,
        )
        .order_by(BUILDERS.c.name)
        .limit(MAX_BUILDERS)
    )
    rows = (await connection.execute(query)).mappings()
    return [Peer(_record(row), row["dns_name"]) for row in rows]


# Any: rows of JSON, for handlers and pages alike.
async def list_records(connection: AsyncConnection) -> Sequence[dict[str, Any]]:
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
        .order_by(EVIDENCE.c.builder_name)
        .limit(MAX_BUILDERS)
    )
    return [dict(row) for row in (await connection.execute(query)).mappings()]


def _record(row: RowMapping) -> NodeRecord:
    names = NodeRecord.__dataclass_fields__
    return NodeRecord(**{name: row[name] for name in names})
