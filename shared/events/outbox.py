"""Publishing from a transaction: an event is written with the state it tells of, and a background loop publishes it.

At least once: the loop may die between publishing and forgetting, then the next one publishes again under the same ids,
which the bus drops. One process at a time drains a service's outbox, so the order in which events were added is kept.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, MetaData

from shared.background import BackgroundLoop, Bell
from shared.database import SERIAL, alone, reader
from shared.events.bus import Event, EventBus
from shared.events.cloudevents import decode, encode
from shared.events.traces import with_trace

_BATCH = 100
_LOOK_SECONDS = 0.2


class Outbox:
    """The outbox tables of one service, in that service's own database.

    Args:
        metadata: The service's; `outbox` is added to it and made with its other tables.
    """

    def __init__(self, metadata: MetaData) -> None:
        self._events = sa.Table(
            "outbox",
            metadata,
            sa.Column("position", SERIAL, primary_key=True, autoincrement=True),
            sa.Column("headers", sa.Text, nullable=False),
            sa.Column("data", sa.LargeBinary, nullable=False),
            sqlite_autoincrement=True,
        )

    def add(self, connection: Connection, *events: Event) -> None:
        """Write events in the caller's transaction; they are published soon after its commit, never without.

        Events of one key keep their order where their transactions wait for each other before they come here,
        by a lock on a row that all of them write.
        """
        if events:
            rows = [
                {"headers": json.dumps(encode(with_trace(event)), sort_keys=True), "data": event.data}
                for event in events
            ]
            connection.execute(sa.insert(self._events), rows)

    def waiting(self, engine: Engine) -> int:
        """Count the events that are committed and not yet published."""
        with reader(engine).connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(self._events)).scalar_one())

    def drain(self, engine: Engine, bus: EventBus) -> int:
        """Publish the oldest events and forget them, unless another process is at it.

        Returns: How many were published; 0 where none is left, or another process publishes them.
        """
        oldest = sa.select(self._events).order_by(self._events.c.position).limit(_BATCH)
        with reader(engine).connect() as connection:  # most looks find nothing, and need no lock
            if connection.execute(oldest.limit(1)).first() is None:
                return 0
        with alone(engine, "outbox") as is_alone:
            if not is_alone:
                return 0
            with reader(engine).connect() as connection:
                rows = connection.execute(oldest).all()
            if rows:
                bus.publish([decode(json.loads(row.headers), row.data) for row in rows])
                published = self._events.c.position.in_([row.position for row in rows])
                with engine.begin() as connection:
                    connection.execute(sa.delete(self._events).where(published))
        return len(rows)


class OutboxDrainer:
    """A thread that publishes what a service's outbox holds; it begins at once.

    Args:
        outbox: The service's outbox.
        engine: The service's database, its tables made.
        bus: Where to publish.
    """

    def __init__(self, outbox: Outbox, engine: Engine, bus: EventBus) -> None:
        self._outbox = outbox
        self._engine = engine
        self._bus = bus
        self._bell = Bell()
        self._loop = BackgroundLoop("outbox", self._step, self._bell.ring)

    def close(self) -> None:
        """Stop after the batch in hand; what is left waits for the next drainer."""
        self._loop.close()

    def _step(self) -> None:
        seen = self._bell.rings
        if not self._outbox.drain(self._engine, self._bus):
            self._bell.wait(seen, _LOOK_SECONDS)
