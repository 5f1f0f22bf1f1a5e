"""Decisions of the queue: made, taken back, opened again; each is an entry of the log, which stays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from services.oracle.domain import review_log
from services.oracle.domain.review import Verdict
from services.oracle.domain.review_log import Act, digest
from services.oracle.store.review_leases import HAS_DECIDED
from services.oracle.store.review_log import alone, append
from services.oracle.store.review_reads import ReviewReads
from services.oracle.store.review_tables import (
    CLOSED,
    DECIDED,
    IS_DECISION,
    LOG,
    OPEN,
    TASKS,
    QueuedTask,
    details_of,
    verdict_of_text,
)
from shared.database import insist, reader
from shared.database import now as now_of_database
from shared.errors import AlreadyExists, FailedPrecondition

#: How long a reviewer may take a decision back, in seconds.
UNDO_SECONDS: Final = 600.0
#: What stands in a task that nobody has in hand.
FREE: Final = {"reviewer": "", "lease_until": 0.0}
#: How many of their last decisions are looked through for one that still stands.
_LAST = 20


class ReviewDecisions(ReviewReads):
    """The queue in the service's database, for who decides.

    Args:
        engine: The service's database.
        now: The clock as a statement has it, in seconds since the epoch.
    """

    def __init__(self, engine: sa.Engine, now: Callable[[], sa.ColumnElement[float]] = now_of_database) -> None:
        super().__init__(engine, now)
        # Who waits for SQLite sleeps up to a tenth of a second at a time, for PostgreSQL with a connection in hand.
        self._turn = threading.Lock()

    @insist
    def decide(self, task_id: str, revision: int, verdict: Verdict) -> tuple[QueuedTask, bool]:
        """Append a decision about a task as it stood at a revision.

        Returns: The task after it, and whether the decision is new; the same one again changes nothing.

        Raises:
            NotFound: No such task.
            AlreadyExists: Another decision was made about this revision.
            FailedPrecondition: The task is not open at this revision, or somebody else has it in hand.
        """
        with self._changing() as (connection, at):
            return self._decide(connection, at, task_id, revision, verdict)

    @insist
    def decide_all(self, decisions: Iterable[tuple[QueuedTask, Verdict]]) -> None:
        """Append the decisions of one who has all of these in hand, in one transaction; see `decide`."""
        with self._changing() as (connection, at):
            for queued, verdict in decisions:
                self._decide(connection, at, queued.entry.task_id, queued.revision, verdict)

    @insist
    def undo(self, task_id: str, revision: int, reviewer: str, seconds: float) -> tuple[QueuedTask, bool]:
        """Take back the decision about a revision; its reviewer has the task in hand again for so long, at the next one.

        Returns: The task after it, and whether it was taken back now.

        Raises:
            NotFound: No such task.
            FailedPrecondition: This reviewer has not decided about it, or too long ago, or the work has gone on with it.
        """
        act = Act(review_log.UNDO, reviewer, task_id, revision)
        with self._changing() as (connection, at):
            found = self._get(connection, at, task_id)
            if self._is_done(connection, act):
                return found, False
            _require_ended(found, revision)
            _require_theirs(found, reviewer)
            append(connection, at, act)
            if at - found.decided_at > UNDO_SECONDS:
                raise FailedPrecondition(
                    f"A decision is taken back within {UNDO_SECONDS:.0f} seconds.",
                    field="task_id",
                    value=task_id,
                    remedy="Ask an operator to open the task again.",
                )
            return self._open_again(connection, at, found, reviewer=reviewer, lease_until=at + seconds), True

    @insist
    def reopen(self, task_id: str, revision: int, actor: str, reason: str) -> tuple[QueuedTask, bool]:
        """Open a task again that was decided or closed; the task after it, and whether it was opened now.

        Raises:
            NotFound: No such task.
            FailedPrecondition: It has not ended at this revision, or the work has gone on with it.
        """
        act = Act(review_log.REOPEN, actor, task_id, revision, {"reason": reason})
        with self._changing() as (connection, at):
            found = self._get(connection, at, task_id)
            if self._is_done(connection, act):
                return found, False
            _require_ended(found, revision)
            append(connection, at, act)
            return self._open_again(connection, at, found, **FREE), True

    def undoable(self, reviewer: str) -> QueuedTask | None:
        """The last decision of a reviewer that `undo` would take back; None for none."""
        is_theirs = (LOG.c.actor == reviewer) & (LOG.c.kind == review_log.DECIDE)
        last = sa.select(LOG.c.task_id, LOG.c.revision).where(is_theirs).order_by(LOG.c.sequence.desc()).limit(_LAST)
        with reader(self._engine).connect() as connection:
            at = self._at(connection)
            for task_id, revision in connection.execute(last).all():
                found = self._get(connection, at, task_id)
                if found.decided_at and at - found.decided_at > UNDO_SECONDS:
                    return None  # those before it are older
                if found.state == DECIDED and found.revision == revision and not found.is_locked:
                    return found
        return None

    @contextmanager
    def _changing(self) -> Iterator[tuple[sa.Connection, float]]:
        """A transaction that no other change of the queue meets, and when it is."""
        with self._turn, self._engine.begin() as connection:
            alone(connection)
            yield connection, self._at(connection)

    def _decide(
        self, connection: sa.Connection, at: float, task_id: str, revision: int, verdict: Verdict
    ) -> tuple[QueuedTask, bool]:
        found = self._get(connection, at, task_id)
        at_revision = (LOG.c.task_id == task_id) & (LOG.c.revision == revision) & IS_DECISION
        known = connection.execute(sa.select(LOG.c.text).where(at_revision)).scalar_one_or_none()
        if known is not None:
            _require_same(verdict, verdict_of_text(known)[0], task_id)
            return found, False
        _require_open(found, revision, verdict.reviewer)
        if connection.execute(HAS_DECIDED, {"task": task_id, "me": verdict.reviewer}).first():
            raise FailedPrecondition(
                "This reviewer has decided about the question already.",
                field="reviewer",
                value=verdict.reviewer,
                remedy="Another opinion on it is another expert's.",
            )
        body = connection.execute(sa.select(TASKS.c.body).where(TASKS.c.task_id == task_id)).scalar_one()
        details = {**details_of(verdict), "asked": digest(body)}
        append(connection, at, Act(review_log.DECIDE, verdict.reviewer, task_id, revision, details))
        return self._change(connection, at, task_id, state=DECIDED, decided_by=verdict.reviewer, **FREE), True

    def _is_done(self, connection: sa.Connection, act: Act) -> bool:
        """Whether the log holds this act."""
        is_about = (LOG.c.task_id == act.task_id) & (LOG.c.kind == act.kind) & (LOG.c.actor == act.actor)
        query = sa.select(LOG.c.sequence).where(is_about & (LOG.c.revision == act.revision))
        return connection.execute(query).first() is not None

    def _open_again(self, connection: sa.Connection, at: float, found: QueuedTask, **holder: Any) -> QueuedTask:
        return self._change(
            connection, at, found.entry.task_id, state=OPEN, decided_by="", revision=found.revision + 1, **holder
        )

    def _change(self, connection: sa.Connection, at: float, task_id: str, **values: Any) -> QueuedTask:
        connection.execute(sa.update(TASKS).where(TASKS.c.task_id == task_id).values(**values))
        return self._get(connection, at, task_id)


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
    if found.assignee not in ("", reviewer):
        raise FailedPrecondition(
            "The task is somebody else's.",
            field="reviewer",
            value=reviewer,
            remedy="An operator says whose it is: AssignTasks.",
        )
    if found.reviewer not in ("", reviewer):
        raise FailedPrecondition(
            "Somebody else has this task in hand.",
            field="task_id",
            value=found.entry.task_id,
            remedy="Wait until their lease is over, or take another task.",
        )


def _require_ended(found: QueuedTask, revision: int) -> None:
    if found.state not in (DECIDED, CLOSED) or found.revision != revision:
        raise FailedPrecondition(
            f"The task is {found.state} at revision {found.revision}.",
            field="revision",
            value=revision,
            remedy="Look at the task again; what was decided or closed is opened as it stands.",
        )
    if found.is_locked:
        raise FailedPrecondition(
            "The work has gone on with this task.",
            field="task_id",
            value=found.entry.task_id,
            remedy="Nothing: what was trained on it stays as it is.",
        )


def _require_theirs(found: QueuedTask, reviewer: str) -> None:
    if found.verdict is None or found.verdict.reviewer != reviewer:
        raise FailedPrecondition(
            "This reviewer has not decided about the task.",
            field="reviewer",
            value=reviewer,
            remedy="Ask an operator to open the task again.",
        )
