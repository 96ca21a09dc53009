# SPDX-License-Identifier: MIT
"""Registrations that an admin took back are told from those that a newer one replaced."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Refuse none of those that are there."""
    op.add_column(
        "registrations",
        sa.Column("is_refused", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
