"""Marks on what is in hand, so that an input or image that ends the service again and again is known by name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    op.create_table(
        "in_hand",
        sa.Column("operation_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", "name"),
    )
    op.add_column("vectors", sa.Column("deaths", sa.Integer(), nullable=False, server_default="0"))
