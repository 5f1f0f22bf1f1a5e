"""Usage that nobody stated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    with op.batch_alter_table("judge_replies") as table:
        table.add_column(sa.Column("is_stated", sa.Boolean(), server_default=sa.true(), nullable=False))
