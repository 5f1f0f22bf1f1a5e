"""Runs that are paused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    op.create_table("pauses", sa.Column("run_id", sa.Text(), nullable=False), sa.PrimaryKeyConstraint("run_id"))
