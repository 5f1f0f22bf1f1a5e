"""What left."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.first_tables import SERIAL

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    op.create_table(
        "egress",
        sa.Column("sequence", SERIAL, autoincrement=True, nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("noted_at", sa.Float(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("image_id", sa.Text(), nullable=False),
        sa.Column("text_sha256", sa.Text(), nullable=False),
        sa.Column("n_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("request_id", "place"),
    )
    with op.batch_alter_table("egress") as table:
        table.create_index("ix_egress_run_id", ["run_id"])
