"""Events onto Kafka: an idempotent producer, acknowledged by all replicas."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from kafka import KafkaProducer
from kafka.errors import KafkaError

from shared.events.bus import Event
from shared.events.cloudevents import encode
from shared.events.kafka_client import connected, milliseconds, reaching
from shared.events.kafka_topics import KafkaTopics
from shared.settings import KafkaSection

# So long a first record waits for the others of its publication, which then costs one round trip, not two.
_LINGER_SECONDS = 0.002


@dataclass(frozen=True)
class Message:
    """An event and the topic of the cluster that it goes to."""

    topic: str
    event: Event


class KafkaPublisher:
    """Publishes. Safe to use from several threads; connects at the first publication."""

    def __init__(self, settings: KafkaSection, topics: KafkaTopics) -> None:
        self._settings = settings
        self._delivery_seconds = 2 * settings.call_seconds  # a broker's restart within it
        self._topics = topics
        self._lock = threading.Lock()
        self._producer: KafkaProducer | None = None

    def publish(self, messages: Sequence[Message]) -> None:
        """Send all, then wait until all are acknowledged: one wait for a batch.

        Where it raises, some may be there; the caller publishes all again under the same ids.

        Raises: see `reaching`.
        """
        if not messages:
            return
        self._topics.ensure({message.topic for message in messages})
        deadline = time.monotonic() + self._delivery_seconds
        with reaching(self._settings):
            producer = self._connected()
            try:
                sent = [_send(producer, message) for message in messages]
                for future in sent:
                    future.get(timeout=max(0.0, deadline - time.monotonic()))
            except KafkaError:
                self._discard(producer)
                raise

    def close(self) -> None:
        """Disconnect; what was published is acknowledged already."""
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError):
                producer.close(timeout=self._settings.call_seconds)

    def _connected(self) -> KafkaProducer:
        with self._lock:
            if self._producer is None:
                self._producer = connected(
                    KafkaProducer,
                    self._settings,
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=milliseconds(_LINGER_SECONDS),
                    max_block_ms=milliseconds(self._delivery_seconds),
                    delivery_timeout_ms=milliseconds(self._delivery_seconds),
                    allow_auto_create_topics=False,
                )
            return self._producer

    def _discard(self, producer: KafkaProducer) -> None:
        """Give up a producer that failed: it may have lost its sequence numbers for good. The next one is new."""
        with self._lock:
            if self._producer is producer:
                self._producer = None
        with suppress(KafkaError):
            producer.close(timeout=0)


def _send(producer: KafkaProducer, message: Message):  # type: ignore[no-untyped-def]  # the library's future
    event = message.event
    # Without a key the id takes its place, so that the same fact always goes to the same partition, where its
    # copies are found.
    return producer.send(
        message.topic,
        key=(event.key or event.id).encode(),
        value=event.data,
        headers=[(name, text.encode()) for name, text in encode(event).items()],
    )
