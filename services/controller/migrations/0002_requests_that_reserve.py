"""The requests that reserve costs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    with op.batch_alter_table("ledger") as table:
        table.add_column(sa.Column("request_id", sa.Text()))
