"""The first tables."""

from __future__ import annotations

from shared.first_tables import create_operations

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run by `shared.migrations`."""
    create_operations()
