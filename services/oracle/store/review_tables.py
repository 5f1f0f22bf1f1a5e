"""The tables of the queue, and a task as it stands in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from services.oracle.domain.review import QueueEntry, Verdict
from services.oracle.domain.review_log import DECIDE
from shared.database import SERIAL

OPEN: Final = "open"
DECIDED: Final = "decided"
CLOSED: Final = "closed"
WITHDRAWN: Final = "withdrawn"

METADATA = sa.MetaData()
TASKS = sa.Table(
    "review_tasks",
    METADATA,
    sa.Column("sequence", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("task_id", sa.Text, nullable=False, unique=True),
    sa.Column("work_id", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("operation_id", sa.Text, nullable=False),  # that waits for it
    sa.Column("request_id", sa.Text, nullable=False),  # of the reservation of its cost
    sa.Column("expert", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("reviewer", sa.Text, nullable=False),  # who has it in hand; "" for nobody
    sa.Column("lease_until", sa.Float, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("is_locked", sa.Boolean, nullable=False, server_default=sa.false()),  # the work has gone on with it
    sa.Column(
        "item", sa.Text, nullable=False, server_default=""
    ),  # what several opinions are on; "" where one is asked for
    sa.Column("decided_by", sa.Text, nullable=False, server_default=""),
    sa.Column("assignee", sa.Text, nullable=False, server_default=""),  # who alone gets it; "" for whoever asks
    # Each list is read in the order of an index: what is handed out next, what somebody has, pages, the tasks of a work.
    sa.Index("ix_review_tasks_next", "expert", "state", "assignee", "priority", "sequence"),
    sa.Index("ix_review_tasks_reviewer", "reviewer", "lease_until"),
    sa.Index("ix_review_tasks_run_state", "run_id", "state", "sequence"),
    sa.Index("ix_review_tasks_run", "run_id", "sequence"),
    sa.Index("ix_review_tasks_state", "state", "sequence"),
    sa.Index("ix_review_tasks_work", "work_id", "state"),
    sa.Index("ix_review_tasks_item", "item"),
)
#: Works that queue tasks; what one that was closed queues from then on is closed as it comes.
WORKS = sa.Table(
    "review_works",
    METADATA,
    sa.Column("work_id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("is_closed", sa.Boolean, nullable=False),
    sa.Index("ix_review_works_run", "run_id"),
)
#: What a reviewer has given back, the last of it last.
SKIPS = sa.Table(
    "review_skips",
    METADATA,
    sa.Column("sequence", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("reviewer", sa.Text, nullable=False),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.UniqueConstraint("reviewer", "task_id"),
    sa.Index("ix_review_skips_reviewer", "reviewer", "sequence"),
)
#: Questions with known answers, which each reviewer of a run answers first.
CALIBRATION = sa.Table(
    "review_calibration",
    METADATA,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("item", sa.Text, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
#: In the words of SQL, not as a parameter: an index of a part of the rows is used only where the part is named so.
_IS_DECISION = f"kind = '{DECIDE}'"
#: See `services.oracle.domain.review_log`. The columns beside the text are those that are searched.
LOG = sa.Table(
    "review_log",
    METADATA,
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Index(
        "ix_review_log_decision",
        "task_id",
        "revision",
        unique=True,
        sqlite_where=sa.text(_IS_DECISION),
        postgresql_where=sa.text(_IS_DECISION),
    ),
    sa.Index("ix_review_log_task", "task_id", "sequence"),
    sa.Index("ix_review_log_actor", "actor", "kind", "sequence"),
)
#: The one row that says where the log ends.
LOG_END = sa.Table(
    "review_log_end",
    METADATA,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)
IS_DECISION: Final = LOG.c.kind == sa.literal_column(f"'{DECIDE}'")
#: When it is, in seconds since the epoch: read once a transaction, by the clock of the database.
NOW: Final = sa.bindparam("now", type_=sa.Float)
_OTHER = TASKS.alias("other_opinion")
# Looked for only where a question has several tasks, and by the question: the open tasks are nearly all.
_HAS_OTHER = sa.exists().where(
    (_OTHER.c.item == TASKS.c.item) & (_OTHER.c.item != "") & (_OTHER.c.sequence != TASKS.c.sequence)
    & sa.func.coalesce(_OTHER.c.state, "").in_([OPEN, WITHDRAWN])
)  # fmt: skip
_IS_AWAITED = sa.case((TASKS.c.item != "", _HAS_OTHER), else_=sa.false())
#: Tasks with the decision about their revision, whether their lease holds, and whether another opinion is still to come.
JOINED: Final = sa.select(
    TASKS, (TASKS.c.lease_until > NOW).label("is_leased"), _IS_AWAITED.label("is_awaited"), LOG.c.text.label("decision")
).outerjoin_from(TASKS, LOG, (LOG.c.task_id == TASKS.c.task_id) & (LOG.c.revision == TASKS.c.revision) & IS_DECISION)
#: The task that `task` names.
ONE: Final = JOINED.where(TASKS.c.task_id == sa.bindparam("task", type_=sa.Text))
_VERDICT = tuple(Verdict.__dataclass_fields__)


@dataclass(frozen=True)
class QueuedTask:
    """A task as it stands.

    Attributes:
        entry: What is asked.
        sequence: Its place among all, in the order of queueing.
        operation_id: Who waits for it.
        request_id: The request that reserved its cost.
        state: `OPEN`, `DECIDED`, `CLOSED` or `WITHDRAWN`.
        revision: From 1.
        priority: The lower, the sooner it is handed out.
        is_locked: Whether the work has gone on with it.
        assignee: Who alone gets it; "" for whoever asks.
        reviewer, lease_until: Who has it in hand until when, in seconds since the epoch; "" and 0 for nobody.
        verdict, decided_at: What was decided and when; None and 0 before.
        is_awaited: Whether another expert is still to answer the same question.
    """

    entry: QueueEntry
    sequence: int
    operation_id: str
    request_id: str
    state: str
    revision: int
    priority: int
    is_locked: bool
    assignee: str
    reviewer: str
    lease_until: float
    verdict: Verdict | None
    decided_at: float
    is_awaited: bool


def queued_of(row: Any) -> QueuedTask:
    """A row of `JOINED`."""
    verdict, decided_at = (None, 0.0) if row.decision is None else verdict_of_text(row.decision)
    reviewer, until = (row.reviewer, row.lease_until) if row.is_leased else ("", 0.0)
    place = (
        row.sequence,
        row.operation_id,
        row.request_id,
        row.state,
        row.revision,
        row.priority,
        row.is_locked,
        row.assignee,
    )
    return QueuedTask(entry_of(row.body), *place, reviewer, until, verdict, decided_at, bool(row.is_awaited))


def entry_of(body: str) -> QueueEntry:
    """What a row of `TASKS` or `CALIBRATION` holds."""
    return msgspec.json.decode(body, type=QueueEntry)


def row_of(entry: QueueEntry, operation_id: str = "", request_id: str = "", assignee: str = "") -> dict[str, Any]:
    """A new row of `TASKS`."""
    return {
        "task_id": entry.task_id, "work_id": entry.work_id, "run_id": entry.run_id, "operation_id": operation_id,
        "request_id": request_id, "expert": entry.expert, "state": OPEN, "priority": entry.priority, "revision": 1,
        "reviewer": "", "lease_until": 0.0, "body": msgspec.json.encode(entry).decode(), "item": entry.item,
        "assignee": assignee,
    }  # fmt: skip


def details_of(verdict: Verdict) -> dict[str, Any]:
    """What a decision says in the log; the reviewer is its actor."""
    return {name: getattr(verdict, name) for name in _VERDICT if name != "reviewer"}


def verdict_of_text(text: str) -> tuple[Verdict, float]:
    """What an entry of the log says that was decided, and when."""
    content = json.loads(text)
    details = {name: content["details"][name] for name in _VERDICT if name != "reviewer"}
    return Verdict(**details, reviewer=content["actor"]), content["at"]
