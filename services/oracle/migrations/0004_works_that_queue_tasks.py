"""Works that queue tasks, so that what one queues after it was closed is closed too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run by `shared.migrations`."""
    op.create_table(
        "review_works",
        sa.Column("work_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("is_closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("work_id"),
    )
    with op.batch_alter_table("review_works", schema=None) as batch_op:
        batch_op.create_index("ix_review_works_run", ["run_id"], unique=False)
