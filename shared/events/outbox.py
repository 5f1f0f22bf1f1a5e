"""Publishing from a transaction: the event is written with the state it tells of, and a background loop
publishes it.

At least once: the loop may die between publishing and forgetting, then the next one publishes again under the
same ids, which the bus drops. One process at a time drains a service's outbox, so the order in which events
were added is kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.exc import IntegrityError, OperationalError

from shared.database import reader
from shared.events.bus import Event, EventBus
from shared.events.cloudevents import decode, encode
from shared.events.loop import BackgroundLoop, Bell
from shared.tracing import with_trace

LEASE_SECONDS = 30.0
_BATCH = 100
_LOOK_SECONDS = 0.2


class Outbox:
    """The outbox tables of one service, in that service's own database.

    Args:
        metadata: The service's; `outbox` and `outbox_leader` are added to it and made with its other tables.
    """

    def __init__(self, metadata: MetaData) -> None:
        self._events = sa.Table(
            "outbox",
            metadata,
            sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
            sa.Column("headers", sa.Text, nullable=False),
            sa.Column("data", sa.LargeBinary, nullable=False),
            sqlite_autoincrement=True,
        )
        self._leader = sa.Table(
            "outbox_leader",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("owner", sa.String, nullable=False),
            sa.Column("lease_until", sa.Float, nullable=False),
        )

    def add(self, connection: Connection, event: Event) -> None:
        """Write an event in the caller's transaction; it is published soon after the commit, and never
        without one.
        """
        headers = json.dumps(encode(with_trace(event)), sort_keys=True)
        connection.execute(sa.insert(self._events).values(headers=headers, data=event.data))

    def waiting(self, engine: Engine) -> int:
        """Count the events that are committed and not yet published."""
        with reader(engine).connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(self._events)).scalar_one())

    def drain(self, engine: Engine, bus: EventBus) -> int:
        """Publish the oldest events and forget them; the caller is the leader.

        Returns: How many were published; 0 where none is left.
        """
        oldest = sa.select(self._events).order_by(self._events.c.position).limit(_BATCH)
        with reader(engine).connect() as connection:
            rows = connection.execute(oldest).all()
        if rows:
            bus.publish([decode(json.loads(row.headers), row.data) for row in rows])
            published = self._events.c.position.in_([row.position for row in rows])
            with engine.begin() as connection:
                connection.execute(sa.delete(self._events).where(published))
        return len(rows)

    def lead(self, engine: Engine, owner: str, now: float) -> bool:
        """Become or stay the one that drains, for `LEASE_SECONDS` from `now`; False while another one is."""
        free = sa.or_(self._leader.c.owner == owner, self._leader.c.lease_until <= now)
        lease = {"owner": owner, "lease_until": now + LEASE_SECONDS}
        with engine.begin() as connection:
            if connection.execute(sa.update(self._leader).where(free).values(lease)).rowcount:
                return True
            if connection.execute(sa.select(self._leader)).first() is not None:
                return False
        try:
            with engine.begin() as connection:
                connection.execute(sa.insert(self._leader).values(id=1, **lease))
        except IntegrityError:  # another one was first
            return False
        return True

    def step_down(self, engine: Engine, owner: str) -> None:
        """Let another one lead at once."""
        with engine.begin() as connection:
            mine = sa.update(self._leader).where(self._leader.c.owner == owner)
            connection.execute(mine.values(lease_until=0.0))


class OutboxDrainer:
    """A thread that publishes what a service's outbox holds while it leads; it begins at once.

    Args:
        outbox: The service's outbox.
        engine: The service's database, its tables made.
        bus: Where to publish.
        clock: Seconds, the same for every process of the service.
    """

    def __init__(
        self, outbox: Outbox, engine: Engine, bus: EventBus, clock: Callable[[], float] = time.time
    ) -> None:
        self._outbox = outbox
        self._engine = engine
        self._bus = bus
        self._clock = clock
        self._owner = uuid4().hex
        self._bell = Bell()
        self._loop = BackgroundLoop("outbox", self._step, self._bell.ring)

    def close(self) -> None:
        """Stop after the batch in hand and step down; what is left waits for the next drainer."""
        self._loop.close()
        with suppress(OperationalError):  # then its lease runs out
            self._outbox.step_down(self._engine, self._owner)

    def _step(self) -> None:
        seen = self._bell.rings
        if self._outbox.waiting(self._engine) and self._outbox.lead(self._engine, self._owner, self._clock()):
            self._outbox.drain(self._engine, self._bus)
        else:
            self._bell.wait(seen, _LOOK_SECONDS)
