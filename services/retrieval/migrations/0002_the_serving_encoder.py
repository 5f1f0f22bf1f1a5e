"""Which encoder's index serves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    op.create_table(
        "serving",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("encoder_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
