"""The queries of the SQLite event bus.

A pending event may be taken when its `available_at` has come (never taken, a pause that is over, or a lease
that ran out) and no earlier one of its key is still leased or pausing. Committing deletes the row, so
`pending` holds only what is in flight.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.sqlite import insert

from shared.database import reader
from shared.events.sqlite_tables import METADATA, Record, cursors, events, pending

Clock = Callable[[], float]
_ADMITTED_AT_ONCE = 100


@dataclass(frozen=True)
class Delivery:
    """Events of one topic, in order, leased to one owner.

    Attributes:
        offsets, records: Aligned.
        failures, losses: How often the first was failed, and how often its owner vanished.
        owner: Made for this delivery alone, so that an owner whose lease ran out can settle nothing.
    """

    group: str
    owner: str
    offsets: tuple[int, ...]
    records: tuple[Record, ...]
    failures: int
    losses: int


class SqliteLog:
    """The log in one SQLite file.

    Args:
        engine: From `shared.database.create_engine`; the tables are made where they are missing.
        lease_seconds: How long a delivery is its owner's without a `renew`.
        clock: Seconds, the same for every process that opens the file.
    """

    def __init__(self, engine: Engine, lease_seconds: float, clock: Clock = time.time) -> None:
        self._engine = engine
        self._reader = reader(engine)
        self._lease_seconds = lease_seconds
        self._clock = clock
        with engine.begin() as connection:
            METADATA.create_all(connection)

    def append(self, records: Sequence[Record]) -> None:
        """Append; a record whose id its topic holds already is dropped."""
        if records:
            with self._engine.begin() as connection:
                _append(connection, records)

    def take(self, group: str, topics: Sequence[str], batch_size: int) -> Delivery | None:
        """Lease the next events of one topic to a new owner; None where there is nothing to do."""
        with self._reader.connect() as connection:
            if not self._has_work(connection, group, topics):
                return None
        with self._engine.begin() as connection:
            rows = self._admitted(connection, group, topics, batch_size)
            batch = _first_batch(rows)
            if not batch:
                return None
            delivery = Delivery(
                group,
                uuid4().hex,
                tuple(row.offset for row in batch),
                tuple(_read(connection, [row.offset for row in batch])),
                batch[0].failures,
                batch[0].losses + bool(batch[0].owner),
            )
            # Where it still has an owner, that one neither committed nor failed it.
            lost = sa.case((pending.c.owner != "", 1), else_=0)
            change = {"owner": delivery.owner, "available_at": self._lease(), "losses": pending.c.losses + lost}
            connection.execute(sa.update(pending).where(*_rows_of(delivery)).values(change))
        return delivery

    def commit(self, delivery: Delivery) -> None:
        """The effects are there: the events are done."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(pending).where(*_rows_of(delivery), _is_owned(delivery)))

    def renew(self, delivery: Delivery) -> None:
        """Prolong the lease."""
        with self._engine.begin() as connection:
            mine = sa.update(pending).where(*_rows_of(delivery), _is_owned(delivery))
            connection.execute(mine.values(available_at=self._lease()))

    def retry(self, delivery: Delivery, pause_seconds: float, *, failed: bool) -> None:
        """Make the events available again after a pause, counted as failed or not."""
        with self._engine.begin() as connection:
            mine = sa.update(pending).where(*_rows_of(delivery), _is_owned(delivery))
            available_at, failures = self._clock() + pause_seconds, pending.c.failures + int(failed)
            connection.execute(mine.values(owner="", available_at=available_at, failures=failures))

    def bury(self, delivery: Delivery, letters: Sequence[Record]) -> None:
        """Give the events up and append their dead letters, in one transaction, unless the lease was lost."""
        with self._engine.begin() as connection:
            mine = sa.delete(pending).where(*_rows_of(delivery), _is_owned(delivery))
            if connection.execute(mine).rowcount:
                _append(connection, letters)

    def lag(self, group: str, topics: Sequence[str]) -> int:
        """Count the events of these topics that the group has neither committed nor given up."""
        admitted = sa.select(sa.func.count()).select_from(pending).where(*_of_group(pending, group, topics))
        with self._reader.connect() as connection:
            counts = [*_new(connection, group, topics, sa.func.count()), admitted]
            return sum(int(connection.execute(count).scalar_one()) for count in counts)

    def release_all(self) -> None:
        """End every lease and pause: for a process that begins and knows that no other has this file."""
        with self._engine.begin() as connection:
            connection.execute(sa.update(pending).values(available_at=0.0))

    def _lease(self) -> float:
        return self._clock() + self._lease_seconds

    def _admitted(self, connection: Connection, group: str, topics: Sequence[str], limit: int) -> Sequence[Any]:
        """What may be taken, at most `limit`; new events are admitted where it would be fewer."""
        ready = self._available(group, topics, limit)
        rows = connection.execute(ready).all()
        wanted = len(rows) < limit
        while wanted and _admit(connection, group, topics, max(limit, _ADMITTED_AT_ONCE)):
            rows = connection.execute(ready).all()
            wanted = not rows  # what was admitted may all wait for an earlier one of its key
        return rows

    def _available(self, group: str, topics: Sequence[str], limit: int) -> sa.Select[Any]:
        now = self._clock()
        earlier = pending.alias()
        blocked = sa.exists().where(
            earlier.c.group == pending.c.group,
            earlier.c.topic == pending.c.topic,
            earlier.c.key == pending.c.key,
            earlier.c.key != "",
            earlier.c.offset < pending.c.offset,
            earlier.c.available_at > now,
        )
        ready = sa.select(pending).where(*_of_group(pending, group, topics), pending.c.available_at <= now, ~blocked)
        return ready.order_by(pending.c.offset).limit(limit)

    def _has_work(self, connection: Connection, group: str, topics: Sequence[str]) -> bool:
        queries = [query.limit(1) for query in _new(connection, group, topics, events.c.offset)]
        queries.append(self._available(group, topics, 1))
        return any(connection.execute(query).first() is not None for query in queries)


def _append(connection: Connection, records: Sequence[Record]) -> None:
    rows = [{**vars(record), "headers": json.dumps(dict(record.headers), sort_keys=True)} for record in records]
    connection.execute(insert(events).on_conflict_do_nothing(), rows)


def _read(connection: Connection, offsets: Sequence[int]) -> list[Record]:
    found = sa.select(events).where(events.c.offset.in_(offsets)).order_by(events.c.offset)
    return [
        Record(row.topic, row.event_id, row.key, json.loads(row.headers), row.data) for row in connection.execute(found)
    ]


def _admit(connection: Connection, group: str, topics: Sequence[str], limit: int) -> bool:
    """Move the next events behind the group's cursors into `pending`; False where there were none."""
    queries = _new(connection, group, topics, events.c.offset, events.c.topic, events.c.key)
    found = [row for query in queries for row in connection.execute(query.order_by(events.c.offset).limit(limit))]
    new = sorted(found, key=lambda row: row.offset)[:limit]
    if not new:
        return False
    fresh = {"group": group, "owner": "", "available_at": 0.0, "failures": 0, "losses": 0}
    connection.execute(sa.insert(pending), [{**fresh, **row._mapping} for row in new])
    for topic, offset in {row.topic: row.offset for row in new}.items():
        cursor = insert(cursors).values(group=group, topic=topic, offset=offset)
        connection.execute(cursor.on_conflict_do_update(set_={"offset": offset}))
    return True


def _new(connection: Connection, group: str, topics: Sequence[str], *columns: Any) -> list[sa.Select[Any]]:
    """For each topic a query of what lies behind the group's cursor: one each, so that its index is used."""
    found = connection.execute(sa.select(cursors).where(*_of_group(cursors, group, topics))).all()
    offsets = {row.topic: row.offset for row in found}
    return [
        sa.select(*columns).where(events.c.topic == topic, events.c.offset > offsets.get(topic, 0)) for topic in topics
    ]


def _first_batch(rows: Sequence[Any]) -> list[Any]:
    """Those of the first row's topic that go together; one that failed before goes alone, and holds its key back."""
    batch: list[Any] = []
    held: set[str] = set()
    for row in rows:
        if row.topic != rows[0].topic or (row.key and row.key in held):
            continue
        if not row.failures and not row.losses and not row.owner:
            batch.append(row)
        elif not batch:
            return [row]
        else:
            held.add(row.key)
    return batch


def _of_group(table: sa.Table, group: str, topics: Sequence[str]) -> tuple[sa.ColumnElement[bool], ...]:
    return (table.c.group == group, table.c.topic.in_(topics))


def _rows_of(delivery: Delivery) -> tuple[sa.ColumnElement[bool], ...]:
    return (pending.c.group == delivery.group, pending.c.offset.in_(delivery.offsets))


def _is_owned(delivery: Delivery) -> sa.ColumnElement[bool]:
    return pending.c.owner == delivery.owner
