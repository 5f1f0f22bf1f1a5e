"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.first_tables import create_operations, create_outbox

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run by `shared.migrations`."""
    create_operations()

    op.create_table(
        "appended_decisions",
        sa.Column("work_id", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("work_id", "decision_id"),
    )
    op.create_table(
        "call_outcomes",
        sa.Column("work_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("is_settled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("work_id", "key"),
    )
    create_outbox()
