"""The queue of the experts: tasks with their leases, and what was decided, which is appended to a log and never overwritten.

A task is open until it is decided, closed or withdrawn. Its revision names one time of being open, so that a decision is about
what its reviewer saw. Whoever has a lease has the task for themselves until it runs out; the clock is the database's. What
changes the queue does so in a transaction that no other one meets, together with its entry in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import sqlalchemy as sa

from services.oracle.domain import review_log
from services.oracle.domain.review import QueueEntry
from services.oracle.domain.review_log import Act
from services.oracle.store import review_leases as leases
from services.oracle.store.review_decisions import FREE, ReviewDecisions
from services.oracle.store.review_tables import (
    CLOSED,
    OPEN,
    SKIPS,
    TASKS,
    WITHDRAWN,
    QueuedTask,
    joined,
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
        """Queue tasks whose costs one request reserved; one that is there stays, and is opened again where it was withdrawn."""
        with self._changing() as connection:
            insert_new(connection, TASKS, [row_of(entry, operation_id, request_id) for entry in entries])
            again = {"state": OPEN, "revision": TASKS.c.revision + 1, "request_id": request_id, "is_locked": False}
            for ids in _batches([entry.task_id for entry in entries]):
                withdrawn = TASKS.c.task_id.in_(ids) & (TASKS.c.state == WITHDRAWN)
                connection.execute(sa.update(TASKS).where(withdrawn).values(**again))

    @insist
    def adopt(self, work_id: str, operation_id: str) -> None:
        """Have an operation wait for the tasks of a work; the one that queued them may have failed."""
        others = (TASKS.c.work_id == work_id) & (TASKS.c.operation_id != operation_id)
        with self._changing() as connection:
            connection.execute(sa.update(TASKS).where(others).values(operation_id=operation_id))

    @insist
    def lock(self, work_id: str) -> bool:
        """Go on with a work: from here on nothing that was decided about it is taken back. False where a task is open."""
        is_of_work = TASKS.c.work_id == work_id
        with self._changing() as connection:
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
        with self._changing() as connection:
            now, taken = self._now(), list[int]()
            held = connection.execute(leases.held_by(expert, reviewer, count, now)).scalars().all()
            for query in (leases.next_free, leases.given_back_by):
                if (missing := count - len(held) - len(taken)) > 0:
                    taken += connection.execute(query(expert, reviewer, missing, now)).scalars()
            mine = TASKS.c.sequence.in_([*held, *taken])
            values = {"reviewer": reviewer, "lease_until": now + seconds}
            connection.execute(sa.update(TASKS).where(mine).values(**values))
            rows = connection.execute(leases.in_order(joined(now).where(mine), reviewer))
            found = [queued_of(row) for row in rows]
            new = [one.entry.task_id for one in found if one.sequence in taken]
            if new:
                details = {"tasks": new, "seconds": seconds}
                self._log.append(connection, Act(review_log.LEASE, reviewer, details=details))
            return found

    @insist
    def release(self, task_id: str, reviewer: str) -> tuple[QueuedTask, bool]:
        """Give a task back, so that it comes last for this reviewer; the task after it, and whether they had it in hand."""
        with self._changing() as connection:
            found = self._get(connection, task_id)
            if found.reviewer != reviewer:
                return found, False
            skip = (SKIPS.c.reviewer == reviewer) & (SKIPS.c.task_id == task_id)
            connection.execute(sa.delete(SKIPS).where(skip))
            connection.execute(sa.insert(SKIPS).values(reviewer=reviewer, task_id=task_id))
            self._log.append(connection, Act(review_log.RELEASE, reviewer, task_id, found.revision))
            return self._change(connection, task_id, **FREE), True

    @insist
    def close(self, run_id: str, actor: str = "") -> tuple[int, list[tuple[str, str]]]:
        """Close what is open of a run; how many tasks, and the works and operations that waited for one."""
        act = Act(review_log.CLOSE, actor, details={"run_id": run_id})
        return self._end((TASKS.c.run_id == run_id) & (TASKS.c.state == OPEN), CLOSED, act)

    @insist
    def withdraw(self, work_id: str) -> int:
        """Take back what is open of a work that was called off; how many tasks."""
        act = Act(review_log.WITHDRAW, "", details={"work_id": work_id})
        return self._end((TASKS.c.work_id == work_id) & (TASKS.c.state == OPEN), WITHDRAWN, act)[0]

    def _end(self, which: sa.ColumnElement[bool], state: str, act: Act) -> tuple[int, list[tuple[str, str]]]:
        ended = sa.update(TASKS).where(which).values(state=state, **FREE)
        with self._changing() as connection:
            rows = connection.execute(ended.returning(TASKS.c.work_id, TASKS.c.operation_id)).all()
            if rows:
                self._log.append(connection, replace(act, details={**act.details, "tasks": len(rows)}))
        return len(rows), sorted({(row.work_id, row.operation_id) for row in rows})


def _batches(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))
