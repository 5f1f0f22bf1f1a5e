"""The log of the queue in the database; see `services.oracle.domain.review_log`."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from services.oracle.domain.review_log import BEGIN, Act, Entry, entry_after
from services.oracle.store.review_tables import LOG, LOG_END
from shared.database import insert_new, serialize

_NAME: Final = "review-queue"
_ONE: Final = 1


def append(connection: sa.Connection, at: float, *acts: Act) -> None:
    """Append what was done at a moment, in seconds since the epoch, in a transaction that `alone` has begun."""
    last = _end(connection)
    rows = []
    for act in acts:
        last = entry_after(last, act, at)
        beside = {"kind": act.kind, "actor": act.actor, "task_id": act.task_id, "revision": act.revision}
        rows.append({"sequence": last.sequence, "text": last.text, "hash": last.hash, **beside})
    connection.execute(sa.insert(LOG), rows)
    end = {"sequence": last.sequence, "hash": last.hash}
    if connection.execute(sa.update(LOG_END).where(LOG_END.c.one == _ONE).values(**end)).rowcount == 0:
        insert_new(connection, LOG_END, [{"one": _ONE, **end}])


def alone(connection: sa.Connection) -> None:
    """Let one transaction that changes the queue after the other run: the log has one end, and leases exclude each other."""
    serialize(connection, _NAME)


def _end(connection: sa.Connection) -> Entry:
    row = connection.execute(sa.select(LOG_END.c.sequence, LOG_END.c.hash)).one_or_none()
    return BEGIN if row is None else Entry(row.sequence, "", row.hash)
