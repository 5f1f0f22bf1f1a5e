"""When steps began and ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    with op.batch_alter_table("results") as table:
        table.add_column(sa.Column("began_at", sa.Float(), nullable=True))
        table.add_column(sa.Column("ended_at", sa.Float(), nullable=True))
