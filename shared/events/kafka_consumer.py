"""A member of a group on Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

from kafka import KafkaConsumer
from kafka.coordinator.base import MemberState
from kafka.errors import KafkaError

from shared.events.bus import DEAD_LETTER_SUFFIX, BatchHandler
from shared.events.failure import is_at_fault, letter_attributes
from shared.events.kafka_batch import Batch, next_batch
from shared.events.kafka_client import heartbeat_seconds, member_client, milliseconds, reaching, unblock
from shared.events.kafka_ownership import Ownership
from shared.events.kafka_publisher import KafkaPublisher, Message
from shared.events.kafka_topics import KafkaTopics
from shared.logs import get_logger
from shared.settings import KafkaSection
from shared.telemetry import EVENTS_DEAD_LETTERED

_LOOK_SECONDS = 0.2
_CLOSE_SECONDS = 10.0
_log = get_logger("shared")


class KafkaBusConsumer:
    """A `Consumer` of the Kafka bus; a member from its first poll on.

    Its own thread handles, and commits what is done. While a handler works, another thread polls with every
    partition paused, so that the member stays in its group and rebalances of others do not wait for it.
    """

    def __init__(
        self,
        settings: KafkaSection,
        topics: KafkaTopics,
        publisher: KafkaPublisher,
        group: str,
        handlers: Mapping[str, BatchHandler],
        batch_size: int,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._publisher = publisher
        self._group = group
        self._handlers = dict(handlers)
        self._order = sorted(handlers)  # the topic whose turn it is comes first
        self._batch_size = batch_size
        self._clock = clock
        self._using = threading.RLock()
        self._ownership = Ownership(settings)
        self._client: KafkaConsumer | None = None
        self._closed = False

    def poll(self, wait_seconds: float = 0.0) -> int:
        """Take the next batch, handle it, commit it; see the port.

        Raises: see `reaching`; a later poll connects anew.
        """
        with self._using, reaching(self._settings):
            try:
                return self._poll(time.monotonic() + wait_seconds)
            except KafkaError:
                self._leave()
                raise
            finally:
                if self._closed:
                    self._leave()

    def lag(self) -> int:
        """Count what the group has not committed, also what is done behind an event that is not."""
        prefix = self._settings.topic_prefix
        return self._topics.lag(prefix + self._group, [prefix + topic for topic in self._handlers])

    def close(self) -> None:
        """Leave the group; see the port. A batch that takes longer than ten seconds is left to end alone."""
        self._closed = True
        if self._using.acquire(timeout=_CLOSE_SECONDS):
            try:
                if not self._ownership.in_hand:
                    self._leave()
            finally:
                self._using.release()

    @property
    def n_partitions(self) -> int:
        """How many partitions it owns."""
        return len(self._ownership.backlogs)

    def is_caught_up(self) -> bool:
        """Whether its group is at rest, all of its partitions are read, and what is left waits for a pause to
        end; called by the thread that polls.
        """
        client, backlogs = self._client, self._ownership.backlogs
        if client is None or not all(map(client.partitions_for_topic, client.subscription())):
            return False
        if client.group_metadata().state != MemberState.STABLE or not self._ownership.is_open:
            return False
        ends = self._topics.ends(backlogs.keys()) if backlogs else {}
        is_read = all(backlogs[one].next_offset >= end for one, end in ends.items())
        return is_read and not self._ownership.offsets() and self._next_batch() is None

    def _poll(self, deadline: float) -> int:
        wait = 0.0
        while not self._closed:
            self._fetch(wait)
            if self._commit() and (batch := self._next_batch()) is not None:
                self._handle(batch)
                return len(batch.entries)
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            wait = min(remaining, _LOOK_SECONDS)
        return 0

    def _fetch(self, wait_seconds: float) -> None:
        client = self._connected()
        self._ownership.throttle(is_busy=False)
        self._take_in(client, wait_seconds)
        self._ownership.open()

    def _take_in(self, client: KafkaConsumer, wait_seconds: float) -> None:
        unblock(client)
        for partition, records in client.poll(timeout_ms=milliseconds(wait_seconds)).items():
            backlog = self._ownership.backlogs.get(partition)
            if backlog is not None:
                for record in records:
                    backlog.add(record)

    def _next_batch(self) -> Batch | None:
        return next_batch(self._order, self._ownership.backlogs.values(), self._clock(), self._batch_size)

    def _handle(self, batch: Batch) -> None:
        self._order.remove(batch.topic)
        self._order.append(batch.topic)
        self._ownership.take(batch)
        try:
            with self._kept():
                if batch.is_given_up:
                    self._bury(batch)
                else:
                    self._handlers[batch.topic]([entry.event for entry in batch.entries])
        except Exception as error:  # whatever a handler raises: the event comes again
            batch.fail(error, self._clock())
            _log.warning(
                "event_handler_failed",
                group=self._group,
                event_ids=[entry.event.id for entry in batch.entries],
                failures=batch.entries[0].failures,
                exc_info=error if is_at_fault(error) else None,
            )
        else:
            batch.finish()
        finally:
            self._commit()
            self._ownership.settle()

    def _bury(self, batch: Batch) -> None:
        """Publish the dead letters of events that are given up."""
        topic = self._settings.topic_prefix + batch.topic + DEAD_LETTER_SUFFIX
        for entry in batch.entries:
            why = letter_attributes(self._group, entry.reason)
            letter = replace(entry.event, attributes={**entry.event.attributes, **why})
            self._publisher.publish([Message(topic, letter)])
            EVENTS_DEAD_LETTERED.labels(self._group, batch.topic).inc()
            _log.error("event_dead_lettered", group=self._group, event_ids=[entry.event.id], reason=entry.reason)

    def _commit(self) -> bool:
        """Commit what is done; False where that failed: then nothing new is begun until it succeeds."""
        offsets = self._ownership.offsets()
        if not offsets or self._client is None:
            return True
        try:
            self._client.commit(offsets, timeout_ms=milliseconds(self._settings.call_seconds))
        except KafkaError as error:  # a rebalance is under way, or no broker answers: the next poll goes on
            _log.warning("offsets_not_committed", group=self._group, error=type(error).__name__)
            return False
        self._ownership.committed(offsets)
        return True

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Stay in the group while the handler works, unless a partition that it works on is to go."""
        done = threading.Event()
        client = self._connected()

        def keep() -> None:
            while not done.wait(heartbeat_seconds(self._settings)) and not self._ownership.leaving:
                try:
                    self._ownership.throttle(is_busy=True)
                    self._take_in(client, 0.0)
                except KafkaError as error:  # the poll after the handler meets it again
                    _log.warning("group_not_kept", group=self._group, error=type(error).__name__)

        thread = threading.Thread(target=keep, name=f"member {self._group}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _connected(self) -> KafkaConsumer:
        if self._client is None:
            names = [self._settings.topic_prefix + topic for topic in self._handlers]
            self._topics.ensure([*names, *(name + DEAD_LETTER_SUFFIX for name in names)])
            client = member_client(self._settings, self._group)
            self._ownership.attach(client)
            client.subscribe(names, listener=self._ownership)
            self._client = client
        return self._client

    def _leave(self) -> None:
        """Commit what is done, leave the group, disconnect."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(KafkaError):
                client.close(autocommit=False, timeout_ms=milliseconds(self._settings.call_seconds))
            self._ownership.detach()
