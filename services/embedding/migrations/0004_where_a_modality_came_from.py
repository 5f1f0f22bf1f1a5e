"""Who said what modality an input is of, so that a guess is never taken for a fact."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    op.add_column("inputs", sa.Column("modality_from", sa.Text(), nullable=False, server_default=""))
