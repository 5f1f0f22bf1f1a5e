"""Whether the log of the queue is as it was written, and the tasks are as the log says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from services.oracle.domain.review_log import BEGIN, DECIDE, Entry, digest, fault_of
from services.oracle.store.review_tables import DECIDED, IS_DECISION, LOG, LOG_END, OPEN, TASKS
from shared.database import reader

_AT_ONCE: Final = 1000
_BESIDE: Final = ("kind", "actor", "task_id", "revision")


@dataclass(frozen=True)
class Verified:
    """What became of a look at the log.

    Attributes:
        last: The last entry that is in order.
        fault: What is wrong after it, a sentence; "" where all is in order.
    """

    last: Entry
    fault: str = ""


def verify(engine: sa.Engine, noted: Entry = BEGIN) -> Verified:
    """Compute the chain again, and hold the tasks against it; stops at the first fault.

    Args:
        engine: The service's database.
        noted: Number and hash of an entry as somebody has noted them elsewhere.
    """
    same = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with reader(engine).execution_options(**same).connect() as connection:
        last = BEGIN
        for entry, row in _entries(connection):
            fault = fault_of(last, entry, {name: getattr(row, name) for name in _BESIDE}) or _fault_of_task(row)
            if not fault and entry.sequence == noted.sequence and entry.hash != noted.hash:
                fault = "it was noted with another hash"
            if fault:
                return Verified(last, f"Entry {entry.sequence}: {fault}.")
            last = entry
        return Verified(last, _fault_of_end(connection, last, noted) or _fault_of_tasks(connection))


def _entries(connection: sa.Connection) -> Iterator[tuple[Entry, Any]]:
    is_about = (TASKS.c.task_id == LOG.c.task_id) & IS_DECISION
    query = sa.select(LOG, TASKS.c.body).outerjoin_from(LOG, TASKS, is_about).order_by(LOG.c.sequence).limit(_AT_ONCE)
    rows = connection.execute(query).all()
    while rows:
        for row in rows:
            yield Entry(row.sequence, row.text, row.hash), row
        rows = connection.execute(query.where(LOG.c.sequence > rows[-1].sequence)).all()


def _fault_of_task(row: Any) -> str:
    """What is wrong with the task of a decision, whose content the entry has a digest of."""
    if row.kind != DECIDE:
        return ""
    if row.body is None:
        return f"its task {row.task_id} is missing"
    is_as_asked = digest(row.body) == json.loads(row.text)["details"]["asked"]
    return "" if is_as_asked else f"its task {row.task_id} was changed"


def _fault_of_end(connection: sa.Connection, last: Entry, noted: Entry) -> str:
    end = connection.execute(sa.select(LOG_END.c.sequence, LOG_END.c.hash)).one_or_none()
    mark = (BEGIN.sequence, BEGIN.hash) if end is None else (end.sequence, end.hash)
    if mark != (last.sequence, last.hash):
        return f"After entry {last.sequence}: the last entries are missing, or the mark of the end was changed."
    if noted.sequence > last.sequence:
        return f"After entry {last.sequence}: entry {noted.sequence}, which was noted, is missing."
    return ""


def _fault_of_tasks(connection: sa.Connection) -> str:
    """The first task that does not stand as the log says."""
    has_decision = sa.exists().where(
        (LOG.c.task_id == TASKS.c.task_id) & (LOG.c.revision == TASKS.c.revision) & IS_DECISION
    )
    is_wrong = ((TASKS.c.state == DECIDED) & ~has_decision) | ((TASKS.c.state == OPEN) & has_decision)
    query = sa.select(TASKS.c.task_id, TASKS.c.state, TASKS.c.revision).where(is_wrong).order_by(TASKS.c.sequence)
    row = connection.execute(query.limit(1)).one_or_none()
    if row is None:
        return ""
    return f"Task {row.task_id} is {row.state} at revision {row.revision}, and the log says otherwise."
