"""Verdicts of judges."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    op.create_table(
        "verdicts", sa.Column("key", sa.Text(), primary_key=True), sa.Column("choice", sa.Text(), nullable=False)
    )
