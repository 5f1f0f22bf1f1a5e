"""Where the grey levels lie of images of more than 8 bits; "" for those that are there already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    op.add_column("images", sa.Column("depth", sa.Text(), nullable=False, server_default=""))
