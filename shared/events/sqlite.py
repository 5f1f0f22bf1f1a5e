"""The event bus of the embedded form: a log in a SQLite file, with the semantics that Kafka has on a cluster.

Several processes may open the same file. Threads of one process wake each other at once; other processes look
for news five times a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy.exc import OperationalError

from shared.background import Bell
from shared.database import create_engine, sqlite_url
from shared.events.bus import DEAD_LETTER_SUFFIX, BatchHandler, Event, check_membership
from shared.events.cloudevents import decode, encode
from shared.events.failure import MAX_LOSSES, is_at_fault, is_given_up, letter_attributes, pause_seconds, reason_of
from shared.events.sqlite_log import Clock, Delivery, SqliteLog
from shared.events.sqlite_tables import Record
from shared.events.subscription import PollingSubscription
from shared.logs import get_logger
from shared.telemetry import EVENTS_DEAD_LETTERED

LEASE_SECONDS = 15.0
_LOOK_SECONDS = 0.2
_log = get_logger("shared")


class SqliteEventBus:
    """An `EventBus` in one SQLite file.

    Args:
        path: The file; made where it is missing.
        is_sole_owner: This process knows that no other has the file open (it holds the lock of the state
            folder), so what a killed one had in hand is free at once and not only when its lease has run out.
        clock: Seconds, for leases and pauses; the same for every process.
    """

    def __init__(self, path: Path, *, is_sole_owner: bool = False, clock: Clock = time.time) -> None:
        self._engine = create_engine(sqlite_url(path))
        self._log = SqliteLog(self._engine, LEASE_SECONDS, clock)
        self._bell = Bell()
        self._open: list[SqliteConsumer | PollingSubscription] = []
        if is_sole_owner:
            self._log.release_all()

    def publish(self, events: Sequence[Event]) -> None:
        """Append events to their topics; see the port."""
        self._log.append([Record(event.type, event.id, event.key, encode(event), event.data) for event in events])
        self._bell.ring()

    def consumer(self, group: str, handlers: Mapping[str, BatchHandler], batch_size: int = 32) -> SqliteConsumer:
        """Join a group; see the port."""
        check_membership(group, handlers, batch_size)
        consumer = SqliteConsumer(self._log, self._bell, group, handlers, batch_size)
        self._open.append(consumer)
        return consumer

    def subscribe(self, group: str, handlers: Mapping[str, BatchHandler], batch_size: int = 32) -> PollingSubscription:
        """Join a group with a thread; see the port."""
        subscription = PollingSubscription(self.consumer(group, handlers, batch_size), group)
        self._open.append(subscription)
        return subscription

    def close(self) -> None:
        """Close every consumer and subscription, then the file."""
        for member in reversed(self._open):
            member.close()
        self._engine.dispose()


class SqliteConsumer:
    """A `Consumer` of the SQLite bus."""

    def __init__(
        self, log: SqliteLog, bell: Bell, group: str, handlers: Mapping[str, BatchHandler], batch_size: int
    ) -> None:
        self._log = log
        self._bell = bell
        self._group = group
        self._handlers = dict(handlers)
        self._topics = sorted(handlers)
        self._batch_size = batch_size
        self._closed = False

    def poll(self, wait_seconds: float = 0.0) -> int:
        """Take the next batch, handle it, commit it; see the port."""
        deadline = time.monotonic() + wait_seconds
        while not self._closed:
            seen = self._bell.rings
            delivery = self._log.take(self._group, self._topics, self._batch_size)
            if delivery is not None:
                self._handle(delivery)
                return len(delivery.offsets)
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            if not self._closed:
                self._bell.wait(seen, min(remaining, _LOOK_SECONDS))
        return 0

    def lag(self) -> int:
        """Count what is still to be done; see the port."""
        return self._log.lag(self._group, self._topics)

    def close(self) -> None:
        """Leave the group; see the port."""
        self._closed = True
        self._bell.ring()

    def _handle(self, delivery: Delivery) -> None:
        if delivery.losses >= MAX_LOSSES:
            self._bury(delivery, f"{delivery.losses} processes died or stood still while they had it in hand")
            return
        try:
            with self._kept(delivery):
                events = [decode(record.headers, record.data) for record in delivery.records]
                self._handlers[delivery.records[0].topic](events)
        except Exception as error:  # whatever a handler raises: the event comes again
            self._fail(delivery, error)
        else:
            self._log.commit(delivery)

    def _fail(self, delivery: Delivery, error: Exception) -> None:
        """Let the events come again, or give up; a dependency that is down is not the event's fault."""
        at_fault = is_at_fault(error)
        failures = delivery.failures + at_fault
        _log.warning(
            "event_handler_failed",
            group=self._group,
            event_ids=[record.event_id for record in delivery.records],
            failures=failures,
            exc_info=error if at_fault else None,
        )
        if is_given_up(failures):
            self._bury(delivery, reason_of(error))
        else:
            self._log.retry(delivery, pause_seconds(failures), failed=at_fault)

    def _bury(self, delivery: Delivery, reason: str) -> None:
        why = {f"ce_{name}": text for name, text in letter_attributes(self._group, reason).items()}
        letters = [
            Record(
                record.topic + DEAD_LETTER_SUFFIX,
                f"{self._group}/{record.event_id}",
                record.key,
                {**record.headers, **why},
                record.data,
            )
            for record in delivery.records
        ]
        self._log.bury(delivery, letters)
        EVENTS_DEAD_LETTERED.labels(self._group, delivery.records[0].topic).inc(len(letters))
        self._bell.ring()
        ids = [record.event_id for record in delivery.records]
        _log.error("event_dead_lettered", group=self._group, event_ids=ids, reason=reason)

    @contextmanager
    def _kept(self, delivery: Delivery) -> Iterator[None]:
        """Renew the lease from another thread while the handler works."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE_SECONDS / 3):
                with suppress(OperationalError):  # two more tries before the lease ends
                    self._log.renew(delivery)

        thread = threading.Thread(target=renew, name=f"lease {self._group}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
