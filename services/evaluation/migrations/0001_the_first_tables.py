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
        "answers",
        sa.Column("model_digest", sa.Text(), nullable=False),
        sa.Column("sampling_digest", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("image_id", sa.Text(), nullable=False),
        sa.Column("prompt_digest", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("token_logprobs", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model_digest", "sampling_digest", "item_id", "image_id", "prompt_digest", "run"),
    )
