"""The log of the queue, which takes the place of the table of decisions."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run by `shared.migrations`. No release has had `review_decisions`, so nothing reads it any more."""
    op.create_table(
        "review_log",
        sa.Column("sequence", _number(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
    )
    is_decision = sa.text("kind = 'decide'")
    with op.batch_alter_table("review_log", schema=None) as batch_op:
        batch_op.create_index("ix_review_log_actor", ["actor", "kind", "sequence"], unique=False)
        batch_op.create_index(
            "ix_review_log_decision",
            ["task_id", "revision"],
            unique=True,
            sqlite_where=is_decision,
            postgresql_where=is_decision,
        )
        batch_op.create_index("ix_review_log_task", ["task_id", "sequence"], unique=False)
    op.create_table(
        "review_log_end",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", _number(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("one"),
    )
    op.create_table(
        "review_skips",
        sa.Column("sequence", _number(), autoincrement=True, nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("reviewer", "task_id"),
    )
    with op.batch_alter_table("review_skips", schema=None) as batch_op:
        batch_op.create_index("ix_review_skips_reviewer", ["reviewer", "sequence"], unique=False)
    with op.batch_alter_table("review_tasks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("is_locked", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("item", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("decided_by", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("assignee", sa.Text(), server_default="", nullable=False))
        batch_op.create_index("ix_review_tasks_item", ["item"], unique=False)
        batch_op.drop_index("ix_review_tasks_next")
        batch_op.create_index(
            "ix_review_tasks_next", ["expert", "state", "assignee", "priority", "sequence"], unique=False
        )
    op.create_table(
        "review_calibration",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "item"),
    )
    _move_decisions()
    op.drop_table("review_decisions")


def _move_decisions() -> None:
    """Enter the decisions so far, in their order, as `services.oracle.domain.review_log` does."""
    decided = sa.text(
        "SELECT d.*, t.body FROM review_decisions d JOIN review_tasks t USING (task_id) ORDER BY d.sequence"
    )
    rows: list[dict[str, Any]] = []
    before = "0" * 64
    for number, row in enumerate(op.get_bind().execute(decided), start=1):
        beside = {"kind": "decide", "actor": row.reviewer, "task_id": row.task_id, "revision": row.revision}
        details = {name: getattr(row, name) for name in ("action", "answer", "reason", "active_seconds")} | {
            "asked": _digest(row.body)
        }
        content = {**beside, "sequence": number, "before": before, "at": row.decided_at, "details": details}
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        before = _digest(text)
        rows.append({**beside, "sequence": number, "text": text, "hash": before})
    if rows:
        names = ("sequence", "kind", "actor", "task_id", "revision", "text", "hash")
        op.bulk_insert(sa.table("review_log", *map(sa.column, names)), rows)
        end = sa.table("review_log_end", sa.column("one"), sa.column("sequence"), sa.column("hash"))
        op.bulk_insert(end, [{"one": 1, "sequence": len(rows), "hash": before}])


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
