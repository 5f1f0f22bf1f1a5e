"""The queue of the experts: tasks with their leases, and decisions, which are appended and never overwritten.

A task is open until it is decided, closed or withdrawn. Its revision names one time of being open, so that a decision is about
what its reviewer saw. Whoever has a lease has the task for themselves until it runs out; the clock is the database's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from services.oracle.domain.review import QueueEntry, Verdict
from shared.database import SERIAL, insert_new, insist, reader
from shared.database import now as now_of_database
from shared.errors import AlreadyExists, FailedPrecondition, NotFound

OPEN: Final = "open"
DECIDED: Final = "decided"
CLOSED: Final = "closed"
WITHDRAWN: Final = "withdrawn"

METADATA = sa.MetaData()
_TASKS = sa.Table(
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
    # Each list is read in the order of an index: what is handed out next, what somebody has, pages, the tasks of a work.
    sa.Index("ix_review_tasks_next", "expert", "state", "priority", "sequence"),
    sa.Index("ix_review_tasks_reviewer", "reviewer", "lease_until"),
    sa.Index("ix_review_tasks_run_state", "run_id", "state", "sequence"),
    sa.Index("ix_review_tasks_run", "run_id", "sequence"),
    sa.Index("ix_review_tasks_state", "state", "sequence"),
    sa.Index("ix_review_tasks_work", "work_id", "state"),
)
_DECISIONS = sa.Table(
    "review_decisions",
    METADATA,
    sa.Column("sequence", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("answer", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("active_seconds", sa.Float, nullable=False),
    sa.Column("reviewer", sa.Text, nullable=False),
    sa.Column("decided_at", sa.Float, nullable=False),
    sa.UniqueConstraint("task_id", "revision"),
)
_BATCH = 500
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
        reviewer, lease_until: Who has it in hand until when, in seconds since the epoch; "" and 0 for nobody.
        verdict, decided_at: What was decided and when; None and 0 before.
    """

    entry: QueueEntry
    sequence: int
    operation_id: str
    request_id: str
    state: str
    revision: int
    reviewer: str
    lease_until: float
    verdict: Verdict | None
    decided_at: float


class ReviewStore:
    """The queue in the service's database.

    Args:
        engine: The service's database.
        now: The clock as a statement has it, in seconds since the epoch.
    """

    def __init__(self, engine: sa.Engine, now: Callable[[], sa.ColumnElement[float]] = now_of_database) -> None:
        self._engine = engine
        self._now = now

    @insist
    def put(self, entries: Sequence[QueueEntry], operation_id: str, request_id: str) -> None:
        """Queue tasks whose costs one request reserved; one that is there stays, and is opened again where it was withdrawn."""
        with self._engine.begin() as connection:
            insert_new(connection, _TASKS, [_row(entry, operation_id, request_id) for entry in entries])
            again = {"state": OPEN, "revision": _TASKS.c.revision + 1, "request_id": request_id}
            for ids in _batches([entry.task_id for entry in entries]):
                withdrawn = _TASKS.c.task_id.in_(ids) & (_TASKS.c.state == WITHDRAWN)
                connection.execute(sa.update(_TASKS).where(withdrawn).values(**again))

    @insist
    def adopt(self, work_id: str, operation_id: str) -> None:
        """Have an operation wait for the tasks of a work; the one that queued them may have failed."""
        others = (_TASKS.c.work_id == work_id) & (_TASKS.c.operation_id != operation_id)
        with self._engine.begin() as connection:
            connection.execute(sa.update(_TASKS).where(others).values(operation_id=operation_id))

    @insist
    def lease(self, expert: str, reviewer: str, count: int, seconds: float) -> list[QueuedTask]:
        """Up to `count` tasks that this reviewer alone has for so long: those in hand already, then the next free ones."""
        with self._engine.begin() as connection:
            held = connection.execute(held_by(expert, reviewer, count, self._now())).scalars().all()
            free: Sequence[int] = ()
            if len(held) < count:
                free = connection.execute(next_free(expert, count - len(held), self._now())).scalars().all()
            taken = _TASKS.c.sequence.in_([*held, *free])
            until = self._now() + seconds
            connection.execute(sa.update(_TASKS).where(taken).values(reviewer=reviewer, lease_until=until))
            query = _joined(self._now()).where(taken).order_by(_TASKS.c.priority, _TASKS.c.sequence)
            return [_queued(row) for row in connection.execute(query)]

    @insist
    def decide(self, task_id: str, revision: int, verdict: Verdict) -> tuple[QueuedTask, bool]:
        """Append a decision about a task as it stood at a revision.

        Returns: The task after it, and whether the decision is new; the same one again changes nothing.

        Raises:
            NotFound: No such task.
            AlreadyExists: Another decision was made about this revision.
            FailedPrecondition: The task is not open at this revision, or somebody else has it in hand.
        """
        with self._engine.begin() as connection:
            return self._decide(connection, task_id, revision, verdict)

    @insist
    def decide_all(self, decisions: Iterable[tuple[QueuedTask, Verdict]]) -> None:
        """Append the decisions of one who has all of these in hand, in one transaction; see `decide`."""
        with self._engine.begin() as connection:
            for queued, verdict in decisions:
                self._decide(connection, queued.entry.task_id, queued.revision, verdict)

    @insist
    def close(self, run_id: str) -> tuple[int, list[tuple[str, str]]]:
        """Close what is open of a run; how many tasks, and the works and operations that waited for one."""
        return self._end((_TASKS.c.run_id == run_id) & (_TASKS.c.state == OPEN), CLOSED)

    @insist
    def withdraw(self, work_id: str) -> int:
        """Take back what is open of a work that was called off; how many tasks."""
        return self._end((_TASKS.c.work_id == work_id) & (_TASKS.c.state == OPEN), WITHDRAWN)[0]

    def find(self, task_id: str) -> QueuedTask:
        """One task.

        Raises:
            NotFound: There is none of this id.
        """
        with reader(self._engine).connect() as connection:
            return self._get(connection, task_id)

    def page(self, run_id: str, state: str, limit: int, after: int = 0) -> tuple[list[QueuedTask], int | None]:
        """Tasks in the order of queueing, of a run and in a state where these are set, and the sequence to go on after."""
        query = page_of(_joined(self._now()), run_id, state, limit + 1, after)
        with reader(self._engine).connect() as connection:
            rows = connection.execute(query).all()
        following = rows[limit - 1].sequence if len(rows) > limit else None
        return [_queued(row) for row in rows[:limit]], following

    def counts(self, run_id: str = "") -> Mapping[str, int]:
        """How many tasks are in each state, and, as "leased", how many of the open ones somebody has in hand."""
        query = sa.select(_TASKS.c.state, sa.func.count()).group_by(_TASKS.c.state)
        in_hand = sa.select(sa.func.count()).where((_TASKS.c.reviewer > "") & (_TASKS.c.lease_until > self._now()))
        if run_id:
            query = query.where(_TASKS.c.run_id == run_id)
            in_hand = in_hand.where(_TASKS.c.run_id == run_id)
        with reader(self._engine).connect() as connection:
            found = {str(state): int(n) for state, n in connection.execute(query)}
            return {**found, "leased": connection.execute(in_hand).scalar_one()}

    def work_counts(self, work_id: str) -> tuple[int, int]:
        """How many tasks of a work are open, and how many there are."""
        open_ones = sa.func.count().filter(_TASKS.c.state == OPEN)
        with reader(self._engine).connect() as connection:
            row = connection.execute(sa.select(open_ones, sa.func.count()).where(_TASKS.c.work_id == work_id)).one()
        return int(row[0]), int(row[1])

    def of_work(self, work_id: str) -> dict[str, QueuedTask]:
        """The tasks of a work, by the decision that they become."""
        query = _joined(self._now()).where(_TASKS.c.work_id == work_id)
        with reader(self._engine).connect() as connection:
            found = [_queued(row) for row in connection.execute(query)]
        return {queued.entry.asked.decision_id: queued for queued in found}

    def _decide(
        self, connection: sa.Connection, task_id: str, revision: int, verdict: Verdict
    ) -> tuple[QueuedTask, bool]:
        found = self._get(connection, task_id)
        known = connection.execute(_decision_at(task_id, revision)).one_or_none()
        if known is not None:
            _require_same(verdict, Verdict(**{name: getattr(known, name) for name in _VERDICT}), task_id)
            return found, False
        _require_open(found, revision, verdict.reviewer)
        values = {"task_id": task_id, "revision": revision, "decided_at": self._now()}
        row = {name: getattr(verdict, name) for name in _VERDICT}
        connection.execute(sa.insert(_DECISIONS).values(**values, **row))
        ended = {"state": DECIDED, "reviewer": "", "lease_until": 0.0}
        connection.execute(sa.update(_TASKS).where(_TASKS.c.task_id == task_id).values(**ended))
        return self._get(connection, task_id), True

    def _get(self, connection: sa.Connection, task_id: str) -> QueuedTask:
        row = connection.execute(_joined(self._now()).where(_TASKS.c.task_id == task_id)).one_or_none()
        if row is None:
            raise NotFound(
                "No such task here.", field="task_id", value=task_id, remedy="ListTasks shows what there is."
            )
        return _queued(row)

    def _end(self, which: sa.ColumnElement[bool], state: str) -> tuple[int, list[tuple[str, str]]]:
        ended = sa.update(_TASKS).where(which).values(state=state, reviewer="", lease_until=0.0)
        with self._engine.begin() as connection:
            rows = connection.execute(ended.returning(_TASKS.c.work_id, _TASKS.c.operation_id)).all()
        return len(rows), sorted({(row.work_id, row.operation_id) for row in rows})


def next_free(expert: str, count: int, now: sa.ColumnElement[float]) -> sa.Select[Any]:
    """The next tasks that nobody has; two who ask at the same time skip each other's."""
    is_free = (_TASKS.c.expert == expert) & (_TASKS.c.state == OPEN) & (_TASKS.c.lease_until <= now)
    query = sa.select(_TASKS.c.sequence).where(is_free).order_by(_TASKS.c.priority, _TASKS.c.sequence)
    return query.limit(count).with_for_update(skip_locked=True)


def held_by(expert: str, reviewer: str, count: int, now: sa.ColumnElement[float]) -> sa.Select[Any]:
    """What a reviewer has in hand."""
    is_mine = (_TASKS.c.reviewer == reviewer) & (_TASKS.c.lease_until > now) & (_TASKS.c.expert == expert)
    query = sa.select(_TASKS.c.sequence).where(is_mine).order_by(_TASKS.c.priority, _TASKS.c.sequence)
    return query.limit(count).with_for_update(skip_locked=True)


def page_of(query: sa.Select[Any], run_id: str, state: str, limit: int, after: int) -> sa.Select[Any]:
    """A page of a query of tasks."""
    query = query.where(_TASKS.c.sequence > after).order_by(_TASKS.c.sequence).limit(limit)
    if run_id:
        query = query.where(_TASKS.c.run_id == run_id)
    return query.where(_TASKS.c.state == state) if state else query


def _joined(now: sa.ColumnElement[float]) -> sa.Select[Any]:
    """Tasks with the decision about their revision, and whether their lease holds."""
    is_about = (_DECISIONS.c.task_id == _TASKS.c.task_id) & (_DECISIONS.c.revision == _TASKS.c.revision)
    decision = [_DECISIONS.c[name].label(f"decided_{name}") for name in _VERDICT]
    is_leased = (_TASKS.c.lease_until > now).label("is_leased")
    return sa.select(_TASKS, is_leased, _DECISIONS.c.decided_at, *decision).outerjoin_from(_TASKS, _DECISIONS, is_about)


def _decision_at(task_id: str, revision: int) -> sa.Select[Any]:
    return sa.select(_DECISIONS).where((_DECISIONS.c.task_id == task_id) & (_DECISIONS.c.revision == revision))


def _row(entry: QueueEntry, operation_id: str, request_id: str) -> dict[str, Any]:
    return {
        "task_id": entry.task_id, "work_id": entry.work_id, "run_id": entry.run_id, "operation_id": operation_id,
        "request_id": request_id, "expert": entry.expert, "state": OPEN, "priority": entry.priority, "revision": 1,
        "reviewer": "", "lease_until": 0.0, "body": msgspec.json.encode(entry).decode(),
    }  # fmt: skip


def _queued(row: Any) -> QueuedTask:
    entry = msgspec.json.decode(row.body, type=QueueEntry)
    verdict = None
    if row.decided_at is not None:
        verdict = Verdict(**{name: getattr(row, f"decided_{name}") for name in _VERDICT})
    reviewer, until = (row.reviewer, row.lease_until) if row.is_leased else ("", 0.0)
    place = (row.sequence, row.operation_id, row.request_id, row.state, row.revision)
    return QueuedTask(entry, *place, reviewer, until, verdict, row.decided_at or 0.0)


def _require_same(verdict: Verdict, known: Verdict, task_id: str) -> None:
    if verdict != known:
        raise AlreadyExists(
            "Another decision was made about this task.",
            field="task_id",
            value=task_id,
            remedy="GetTask shows it; a decision is never changed.",
        )


def _require_open(found: QueuedTask, revision: int, reviewer: str) -> None:
    if found.state != OPEN or found.revision != revision:
        raise FailedPrecondition(
            f"The task is {found.state} at revision {found.revision}.",
            field="revision",
            value=revision,
            remedy="Look at the task again; a decision is about an open task as it stands.",
        )
    if found.reviewer not in ("", reviewer):
        raise FailedPrecondition(
            "Somebody else has this task in hand.",
            field="task_id",
            value=found.entry.task_id,
            remedy="Wait until their lease is over, or take another task.",
        )


def _batches(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))
