# SPDX-License-Identifier: MIT
"""The tables, as the newest migration leaves them; `migrations/versions` makes them.

The same types work on PostgreSQL and SQLite: times are Unix milliseconds, documents are the JSON
text that was sent. Rows are never changed in what they say: a newer row makes an older one
inactive, and a partial unique index keeps one active.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only in an INTEGER column.
_ID: Final = BigInteger().with_variant(Integer, "sqlite")


def _id() -> Column[int]:
    return Column("id", _ID, primary_key=True, autoincrement=True)


def _builder() -> Column[str]:
    return Column("builder_name", ForeignKey("builders.name"), nullable=False)


def _measurement() -> Column[int | None]:
    return Column("measurement_id", ForeignKey("measurements.id"), nullable=True)


def _one_active(name: str, *columns: str) -> Index:
    active = text("is_active")
    return Index(name, *columns, unique=True, postgresql_where=active, sqlite_where=active)


BUILDERS: Final = Table(
    "builders",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("ip_address", String(45), nullable=False),
    Column("dns_name", String(253), nullable=True),
    Column("network", String(64), nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("deprecated_at_ms", BigInteger, nullable=True),
    CheckConstraint("NOT is_active OR deprecated_at_ms IS NULL", name="active_not_deprecated"),
    _one_active("builders_one_active_ip", "ip_address"),
)

MEASUREMENTS: Final = Table(
    "measurements",
    METADATA,
    _id(),
    Column("name", String(255), nullable=False, unique=True),
    Column("attestation_type", String(64), nullable=False),
    Column("document", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("deprecated_at_ms", BigInteger, nullable=True),
    CheckConstraint("NOT is_active OR deprecated_at_ms IS NULL", name="active_not_deprecated"),
)

REGISTRATIONS: Final = Table(
    "registrations",
    METADATA,
    _id(),
    _builder(),
    Column("service", String(32), nullable=False),
    Column("tls_cert", Text, nullable=True),
    Column("ecdsa_address", String(42), nullable=True),
    Column("region", String(64), nullable=False),
    Column("is_proved", Boolean, nullable=False),
    _measurement(),
    Column("is_active", Boolean, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("deprecated_at_ms", BigInteger, nullable=True),
    Column("is_refused", Boolean, nullable=False, server_default=false()),
    _one_active("registrations_one_active", "builder_name", "service"),
)

CONFIGURATIONS: Final = Table(
    "configurations",
    METADATA,
    _id(),
    _builder(),
    Column("document", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    _one_active("configurations_one_active", "builder_name"),
)

SECRETS: Final = Table(
    "secrets",
    METADATA,
    _id(),
    _builder(),
    Column("key_id", String(16), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    _one_active("secrets_one_active", "builder_name"),
)

EVIDENCE: Final = Table(
    "evidence",
    METADATA,
    _id(),
    _builder(),
    Column("node_id", String(66), nullable=False),
    Column("attestation_type", String(64), nullable=False),
    Column("tls_cert", Text, nullable=False),
    Column("ecdsa_address", String(42), nullable=True),
    Column("ip_address", String(45), nullable=False),
    Column("tee_measurement", Text, nullable=False),
    Column("tee_attestation", LargeBinary, nullable=False),
    Column("attested_at", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    _measurement(),
    Column("is_active", Boolean, nullable=False),
    _one_active("evidence_one_active", "builder_name"),
    _one_active("evidence_one_active_node", "node_id"),
)

EVENTS: Final = Table(
    "events",
    METADATA,
    _id(),
    Column("event_name", String(64), nullable=False),
    _builder(),
    _measurement(),
    Column("created_at_ms", BigInteger, nullable=False),
    Index("events_by_builder", "builder_name", "id"),
)

AUDIT: Final = Table(
    "audit",
    METADATA,
    _id(),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("address", String(45), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("detail", Text, nullable=False),
)
