"""How a service looks from outside: what becomes of its events, and every few seconds what waits and what is silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future

import sqlalchemy as sa

from shared.background import BackgroundLoop
from shared.events.bus import BatchHandler, Event, Subscription
from shared.events.outbox import Outbox
from shared.events.traces import handling
from shared.operations import Operations
from shared.telemetry import EVENTS_HANDLED, EVENTS_LAG, OPERATIONS_SILENT_SECONDS, OPERATIONS_WAITING, OUTBOX_WAITING

PERIOD_SECONDS = 10.0
#: A pool that for so long does not begin what it was given is stuck.
STUCK_SECONDS = 15.0


class PoolProbe:
    """Whether a pool of threads still begins what it is given.

    Args:
        pool: The pool.
        clock: Gives seconds.
    """

    def __init__(self, pool: Executor, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._asked: Future[None] | None = None
        self._asked_at = 0.0

    def is_alive(self) -> bool:
        """Give it a task that does nothing, unless one waits; False once one has waited for `STUCK_SECONDS`."""
        if self._asked is None or self._asked.done():
            self._asked, self._asked_at = self._pool.submit(lambda: None), self._clock()
        return self._asked.done() or self._clock() - self._asked_at < STUCK_SECONDS


class Watch:
    """Keeps the gauges of one service up to date, in a thread of its own, so that a scrape waits for nothing.

    Args:
        service: Its name.
        operations: Its operations.
        outbox: Where it leaves events, in the database `engine`; None where it publishes none.
        engine: Its database.
        subscription: What it listens to; None where it listens to nothing.
        tell_health: Called first thing at each look.
    """

    def __init__(
        self,
        service: str,
        operations: Operations,
        outbox: Outbox | None,
        engine: sa.Engine | None,
        subscription: Subscription | None,
        tell_health: Callable[[], None] = lambda: None,
    ) -> None:
        self._tell_health = tell_health
        self._service = service
        self._operations = operations
        self._outbox = outbox
        self._engine = engine
        self._subscription = subscription
        self._closing = threading.Event()
        self._loop = BackgroundLoop(f"{service}-watch", self._step, self._closing.set)

    def look(self) -> None:
        """Measure once."""
        n_waiting, silent_seconds = self._operations.backlog()
        OPERATIONS_WAITING.labels(self._service).set(n_waiting)
        OPERATIONS_SILENT_SECONDS.labels(self._service).set(silent_seconds)
        if self._outbox is not None and self._engine is not None:
            OUTBOX_WAITING.labels(self._service).set(self._outbox.waiting(self._engine))
        if self._subscription is not None:
            EVENTS_LAG.labels(self._service).set(self._subscription.lag())

    def close(self) -> None:
        """Stop."""
        self._loop.close()

    def _step(self) -> None:
        self._tell_health()
        self.look()
        self._closing.wait(PERIOD_SECONDS)


def observed(group: str, handlers: Mapping[str, BatchHandler]) -> dict[str, BatchHandler]:
    """The handlers of a group, their events counted and traced."""

    def watched(kind: str, handler: BatchHandler) -> BatchHandler:
        def handle(events: Sequence[Event]) -> None:
            outcome = "failed"
            try:
                with handling(group, events):
                    handler(events)
                outcome = "done"
            finally:
                EVENTS_HANDLED.labels(group, kind, outcome).inc(len(events))

        return handle

    return {kind: watched(kind, handler) for kind, handler in handlers.items()}
