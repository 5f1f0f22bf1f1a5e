"""Images have a structure hash; "" for those that are there already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    op.add_column("images", sa.Column("structure", sa.Text(), nullable=False, server_default=""))
