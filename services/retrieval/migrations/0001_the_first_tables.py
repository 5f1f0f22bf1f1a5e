"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.first_tables import create_operations

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run by `shared.migrations`."""
    create_operations()

    op.create_table(
        "selections",
        sa.Column("operation_id", sa.Text(), nullable=False),
        sa.Column("image_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", "image_id"),
    )
    with op.batch_alter_table("selections", schema=None) as batch_op:
        batch_op.create_index("selections_by_arm", ["run_id", "arm"], unique=False)
