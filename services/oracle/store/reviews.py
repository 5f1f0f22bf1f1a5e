"""The queue of the experts: tasks with their leases, and what was decided, which is appended to a log and never overwritten.

A task is open until it is decided, closed or withdrawn. Its revision names one time of being open, so that a decision is about
what its reviewer saw. Whoever has a lease has the task for themselves until it runs out; the clock is the database's. What
changes the queue does so in a transaction that no other one meets, together with its entry in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from services.oracle.domain import review_log
from services.oracle.domain.measures import calibration_of, calibration_work
from services.oracle.domain.review import PEOPLE, QueueEntry
from services.oracle.domain.review_log import Act
from services.oracle.store import review_leases as leases
from services.oracle.store.review_decisions import FREE, ReviewDecisions
from services.oracle.store.review_log import append
from services.oracle.store.review_tables import (
    CALIBRATION,
    CLOSED,
    NOW,
    OPEN,
    SKIPS,
    TASKS,
    WITHDRAWN,
    WORKS,
    QueuedTask,
    entry_of,
    queued_of,
    row_of,
)
from shared.database import insert_new, insist

_BATCH = 500


class ReviewStore(ReviewDecisions):
    """The queue in the service's database.

    Args:
        engine: The service's database.
        now: The clock as a statement has it, in seconds since the epoch.
    """

    @insist
    def put(self, entries: Sequence[QueueEntry], operation_id: str, request_id: str) -> None:
        """Queue tasks of a work whose costs one request reserved; those of a work that was closed are closed as they come.

        One that is there stays, and is opened again where it was withdrawn.
        """
        with self._changing() as (connection, at):
            insert_new(connection, TASKS, [row_of(entry, operation_id, request_id) for entry in entries])
            again = {"state": OPEN, "revision": TASKS.c.revision + 1, "request_id": request_id, "is_locked": False}
            for ids in _batches([entry.task_id for entry in entries]):
                withdrawn = TASKS.c.task_id.in_(ids) & (TASKS.c.state == WITHDRAWN)
                connection.execute(sa.update(TASKS).where(withdrawn).values(**again))
            self._close_late(connection, at, entries)

    @insist
    def calibrate(self, run_id: str, entries: Sequence[QueueEntry]) -> None:
        """Have each reviewer of a run answer these first; those that it has already stay."""
        with self._changing() as (connection, _):
            if connection.execute(sa.select(CALIBRATION.c.item).where(CALIBRATION.c.run_id == run_id)).first() is None:
                rows = [
                    {"run_id": run_id, "item": one.asked.decision_id, "body": row_of(one)["body"]} for one in entries
                ]
                insert_new(connection, CALIBRATION, rows)

    @insist
    def adopt(self, work_id: str, run_id: str, operation_id: str) -> None:
        """Have an operation queue a work, and wait for what is there of it; the one that queued that may have failed."""
        others = (TASKS.c.work_id == work_id) & (TASKS.c.operation_id != operation_id)
        with self._changing() as (connection, _):
            insert_new(connection, WORKS, [{"work_id": work_id, "run_id": run_id, "is_closed": False}])
            connection.execute(sa.update(TASKS).where(others).values(operation_id=operation_id))

    @insist
    def lock(self, work_id: str) -> bool:
        """Go on with a work: from here on nothing that was decided about it is taken back. False where a task is open."""
        is_of_work = TASKS.c.work_id == work_id
        with self._changing() as (connection, _):
            if connection.execute(
                sa.select(TASKS.c.task_id).where(is_of_work & (TASKS.c.state == OPEN)).limit(1)
            ).first():
                return False
            connection.execute(sa.update(TASKS).where(is_of_work & ~TASKS.c.is_locked).values(is_locked=True))
            return True

    @insist
    def lease(self, expert: str, reviewer: str, count: int, seconds: float) -> list[QueuedTask]:
        """Up to `count` tasks that this reviewer alone has for so long: those in hand already, then the next free ones.

        What they have given back comes last.
        """
        with self._changing() as (connection, at):
            asked = {"expert": expert, "me": reviewer, "now": at}
            held = connection.execute(leases.HELD, {**asked, "most": count}).scalars().all()
            if len(held) < count:
                self._add_calibration(connection, asked)
            taken: list[int] = []
            for statement in (leases.ASSIGNED_NEXT, leases.FREE_NEXT, leases.GIVEN_BACK):
                if (missing := count - len(held) - len(taken)) > 0:
                    taken += connection.execute(statement, {**asked, "most": missing}).scalars()
            mine = [*held, *taken]
            values = {"reviewer": reviewer, "lease_until": at + seconds}
            connection.execute(sa.update(TASKS).where(TASKS.c.sequence.in_(mine)).values(**values))
            rows = connection.execute(leases.HANDED_OUT, {**asked, "sequences": mine})
            found = [queued_of(row) for row in rows]
            new = [one.entry.task_id for one in found if one.sequence in taken]
            if new:
                details = {"tasks": new, "seconds": seconds}
                append(connection, at, Act(review_log.LEASE, reviewer, details=details))
            return found

    @insist
    def release(self, task_id: str, reviewer: str) -> tuple[QueuedTask, bool]:
        """Give a task back, so that it comes last for this reviewer; the task after it, and whether they had it in hand."""
        with self._changing() as (connection, at):
            found = self._get(connection, at, task_id)
            if found.reviewer != reviewer:
                return found, False
            skip = (SKIPS.c.reviewer == reviewer) & (SKIPS.c.task_id == task_id)
            connection.execute(sa.delete(SKIPS).where(skip))
            connection.execute(sa.insert(SKIPS).values(reviewer=reviewer, task_id=task_id))
            append(connection, at, Act(review_log.RELEASE, reviewer, task_id, found.revision))
            return self._change(connection, at, task_id, **FREE), True

    @insist
    def assign(self, run_id: str, task_ids: Sequence[str], reviewer: str, actor: str) -> int:
        """Have one reviewer alone get open tasks of a run, all or these; "": whoever asks. How many were another's before.

        What somebody else has in hand stays theirs.
        """
        is_others = (TASKS.c.reviewer != reviewer) & (TASKS.c.lease_until > NOW)
        act = Act(review_log.ASSIGN, actor, details={"run_id": run_id, "reviewer": reviewer})
        return self._place(run_id, task_ids, act, (TASKS.c.assignee != reviewer) & ~is_others, assignee=reviewer)

    @insist
    def prioritize(self, run_id: str, task_ids: Sequence[str], priority: int, actor: str) -> int:
        """Give open tasks of a run, all or these, another place in the queue; how many had another one before."""
        act = Act(review_log.PRIORITIZE, actor, details={"run_id": run_id, "priority": priority})
        return self._place(run_id, task_ids, act, TASKS.c.priority != priority, priority=priority)

    @insist
    def close(self, run_id: str, actor: str = "") -> tuple[int, list[tuple[str, str]]]:
        """Close what is open of a run, and what its works are still to queue.

        Returns: How many tasks were open, and the works and operations that waited for one.
        """
        act = Act(review_log.CLOSE, actor, details={"run_id": run_id})
        of_run = sa.update(WORKS).where((WORKS.c.run_id == run_id) & ~WORKS.c.is_closed).values(is_closed=True)
        with self._changing() as (connection, at):
            works = sorted(connection.execute(of_run.returning(WORKS.c.work_id)).scalars())
            if works:
                act = replace(act, details={**act.details, "works": works})
            is_open = (TASKS.c.run_id == run_id) & (TASKS.c.state == OPEN)
            return self._end(connection, at, is_open, CLOSED, act)

    @insist
    def withdraw(self, work_id: str) -> int:
        """Take back what is open of a work that was called off; how many tasks. Started anew, it is closed no more."""
        act = Act(review_log.WITHDRAW, "", details={"work_id": work_id})
        with self._changing() as (connection, at):
            connection.execute(sa.delete(WORKS).where(WORKS.c.work_id == work_id))
            return self._end(connection, at, (TASKS.c.work_id == work_id) & (TASKS.c.state == OPEN), WITHDRAWN, act)[0]

    def _close_late(self, connection: sa.Connection, at: float, entries: Sequence[QueueEntry]) -> None:
        """Close tasks that were queued just now, where their work was closed before."""
        closed = sa.select(WORKS.c.work_id).where(WORKS.c.is_closed & (WORKS.c.work_id == sa.bindparam("work")))
        for work_id in sorted({entry.work_id for entry in entries}):
            if connection.execute(closed, {"work": work_id}).first() is not None:
                ids = [entry.task_id for entry in entries if entry.work_id == work_id]
                act = Act(review_log.CLOSE, "", details={"work_id": work_id})
                for part in _batches(ids):
                    self._end(connection, at, TASKS.c.task_id.in_(part) & (TASKS.c.state == OPEN), CLOSED, act)

    def _add_calibration(self, connection: sa.Connection, asked: Mapping[str, Any]) -> None:
        """Queue the questions with known answers of the run whose task comes next, unless this reviewer has had them."""
        reviewer = asked["me"]
        bodies = connection.execute(leases.CALIBRATION_NEXT, {**asked, "most": 1}).scalars()
        entries = [calibration_of(entry_of(body), reviewer) for body in bodies]
        known = sa.select(TASKS.c.task_id).where(TASKS.c.task_id.in_([one.task_id for one in entries[:1]]))
        if entries and connection.execute(known).first() is None:
            insert_new(connection, TASKS, [row_of(one, assignee=reviewer) for one in entries])

    def _place(
        self, run_id: str, task_ids: Sequence[str], act: Act, which: sa.ColumnElement[bool], **values: str | int
    ) -> int:
        """Change open tasks of people in a run; those that calibrate a reviewer stay as they are."""
        is_open = (TASKS.c.run_id == run_id) & (TASKS.c.state == OPEN) & (TASKS.c.expert == PEOPLE)
        changed = is_open & (TASKS.c.work_id != calibration_work(run_id)) & which
        with self._changing() as (connection, at):
            found: list[str] = []
            for ids in _batches(task_ids) if task_ids else [()]:
                mine = changed & TASKS.c.task_id.in_(ids) if ids else changed
                statement = sa.update(TASKS).where(mine).values(**values).returning(TASKS.c.task_id)
                found += connection.execute(statement, {"now": at}).scalars()
            if found:
                details = {**act.details, "tasks": sorted(found) if task_ids else len(found)}
                append(connection, at, replace(act, details=details))
        return len(found)

    def _end(
        self, connection: sa.Connection, at: float, which: sa.ColumnElement[bool], state: str, act: Act
    ) -> tuple[int, list[tuple[str, str]]]:
        ended = sa.update(TASKS).where(which).values(state=state, **FREE)
        rows = connection.execute(ended.returning(TASKS.c.work_id, TASKS.c.operation_id)).all()
        if rows or "works" in act.details:
            append(connection, at, replace(act, details={**act.details, "tasks": len(rows)}))
        return len(rows), sorted({(row.work_id, row.operation_id) for row in rows})


def _batches(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))
