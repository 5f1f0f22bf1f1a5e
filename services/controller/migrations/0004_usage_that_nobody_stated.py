"""Usage that nobody stated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    with op.batch_alter_table("ledger") as table:
        table.add_column(sa.Column("is_usage_unstated", sa.Boolean(), server_default=sa.false(), nullable=False))
