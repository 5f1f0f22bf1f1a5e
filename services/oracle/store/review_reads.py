"""What the queue tells: single tasks, pages, counts, the tasks of a work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from services.oracle.domain.review import QueueEntry, Verdict
from services.oracle.domain.review_log import BEGIN, Entry
from services.oracle.store.review_audit import Verified, verify
from services.oracle.store.review_tables import (
    DECIDED,
    IS_DECISION,
    JOINED,
    LOG,
    ONE,
    OPEN,
    TASKS,
    QueuedTask,
    queued_of,
    verdict_of_text,
)
from shared.database import now as now_of_database
from shared.database import reader
from shared.errors import NotFound

_AT_ONCE = 1000


class ReviewReads:
    """The queue in the service's database, for who looks.

    Args:
        engine: The service's database.
        now: The clock as a statement has it, in seconds since the epoch.
    """

    def __init__(self, engine: sa.Engine, now: Callable[[], sa.ColumnElement[float]] = now_of_database) -> None:
        self._engine = engine
        self._now = now

    def find(self, task_id: str) -> QueuedTask:
        """One task.

        Raises:
            NotFound: There is none of this id.
        """
        with reader(self._engine).connect() as connection:
            return self._get(connection, self._at(connection), task_id)

    def page(self, run_id: str, state: str, limit: int, after: int = 0) -> tuple[list[QueuedTask], int | None]:
        """Tasks in the order of queueing, of a run and in a state where these are set, and the sequence to go on after."""
        query = page_of(JOINED, run_id, state, limit + 1, after)
        with reader(self._engine).connect() as connection:
            rows = connection.execute(query, {"now": self._at(connection)}).all()
        following = rows[limit - 1].sequence if len(rows) > limit else None
        return [queued_of(row) for row in rows[:limit]], following

    def counts(self, run_id: str = "") -> Mapping[str, int]:
        """How many tasks are in each state, and, as "leased", how many of the open ones somebody has in hand."""
        query = sa.select(TASKS.c.state, sa.func.count()).group_by(TASKS.c.state)
        in_hand = sa.select(sa.func.count()).where((TASKS.c.reviewer > "") & (TASKS.c.lease_until > self._now()))
        if run_id:
            query = query.where(TASKS.c.run_id == run_id)
            in_hand = in_hand.where(TASKS.c.run_id == run_id)
        with reader(self._engine).connect() as connection:
            found = {str(state): int(n) for state, n in connection.execute(query)}
            return {**found, "leased": connection.execute(in_hand).scalar_one()}

    def has_open(self, work_id: str) -> bool:
        """Whether a task of a work is open."""
        is_open = (TASKS.c.work_id == work_id) & (TASKS.c.state == OPEN)
        with reader(self._engine).connect() as connection:
            return connection.execute(sa.select(TASKS.c.sequence).where(is_open).limit(1)).first() is not None

    def work_counts(self, work_id: str) -> tuple[int, int]:
        """How many tasks of a work are open, and how many there are."""
        open_ones = sa.func.count().filter(TASKS.c.state == OPEN)
        with reader(self._engine).connect() as connection:
            row = connection.execute(sa.select(open_ones, sa.func.count()).where(TASKS.c.work_id == work_id)).one()
        return int(row[0]), int(row[1])

    def of_work(self, work_id: str) -> list[QueuedTask]:
        """The tasks of a work, in the order of queueing."""
        query = JOINED.where(TASKS.c.work_id == work_id).order_by(TASKS.c.sequence)
        with reader(self._engine).connect() as connection:
            return [queued_of(row) for row in connection.execute(query, {"now": self._at(connection)})]

    def decided(self, run_id: str) -> Iterator[tuple[QueueEntry, Verdict]]:
        """What was decided about the tasks of a run, in the order of queueing, a page at a time.

        Only the first decision about a blind task is blind: it tells what was proposed.
        """
        after: int | None = 0
        while after is not None:
            page, after = self.page(run_id, DECIDED, _AT_ONCE, after)
            for one in page:
                if one.verdict is not None:
                    yield replace(one.entry, is_blind=one.entry.is_blind and one.revision == 1), one.verdict

    def seconds(self, work_id: str) -> dict[str, dict[int, float]]:
        """The active seconds of each decision about a task of a work, those that were taken back too: task, then revision."""
        is_of_work = (LOG.c.task_id == TASKS.c.task_id) & IS_DECISION & (TASKS.c.work_id == work_id)
        found: dict[str, dict[int, float]] = {}
        with reader(self._engine).connect() as connection:
            for task_id, revision, text in connection.execute(
                sa.select(LOG.c.task_id, LOG.c.revision, LOG.c.text).join_from(TASKS, LOG, is_of_work)
            ):
                found.setdefault(task_id, {})[revision] = verdict_of_text(text)[0].active_seconds
        return found

    def verify(self, noted: Entry = BEGIN) -> Verified:
        """Whether the log is as it was written; see `services.oracle.store.review_audit`."""
        return verify(self._engine, noted)

    def _at(self, connection: sa.Connection) -> float:
        """When it is, by the clock of the database, in seconds since the epoch."""
        return float(connection.execute(sa.select(self._now())).scalar_one())

    def _get(self, connection: sa.Connection, at: float, task_id: str) -> QueuedTask:
        row = connection.execute(ONE, {"task": task_id, "now": at}).one_or_none()
        if row is None:
            raise NotFound(
                "No such task here.", field="task_id", value=task_id, remedy="ListTasks shows what there is."
            )
        return queued_of(row)


def page_of(query: sa.Select[Any], run_id: str, state: str, limit: int, after: int) -> sa.Select[Any]:
    """A page of a query of tasks."""
    query = query.where(TASKS.c.sequence > after).order_by(TASKS.c.sequence).limit(limit)
    if run_id:
        query = query.where(TASKS.c.run_id == run_id)
    return query.where(TASKS.c.state == state) if state else query
