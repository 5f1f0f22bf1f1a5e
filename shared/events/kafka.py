"""The event bus on Apache Kafka.

What the port promises, and how it is kept here:

- *At least once.* An offset is committed after the handler returned. A publication returns when all replicas
  have it (idempotent producer, `acks=all`); one that raises is published again by its caller.
- *In order for each key.* A key has one partition, and a partition one member at a time. An event that fails
  holds back its key alone: later ones of other keys go on, up to `READ_AHEAD` records, while the group's offset
  stays before it. What was done ahead of the offset is done again by the next owner if the member dies.
- *No event twice* within `DUPLICATE_WINDOW` records of its partition, whoever published it again and whichever
  member reads it: a member that gets a partition first reads that window before the group's offset. A copy that
  comes later than that is delivered; handlers are idempotent. Copies meet in one partition because they have
  the same key (or the same id, where there is no key), as long as nobody changes a topic's number of partitions.
- *Dead letters.* The attempts of an event are counted in the member that has it; with another member they begin
  anew. A message that is no CloudEvent is given up at once.
- *Long handlers* keep their partitions: the member goes on polling with its partitions paused. A handler that
  takes longer than `handler_seconds` while one of its partitions is wanted elsewhere loses it.

Not kept, unlike in the SQLite log: an event that takes down every process that handles it is not given up; it
comes again for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from shared.events.bus import BatchHandler, Event, check_membership
from shared.events.kafka_consumer import KafkaBusConsumer
from shared.events.kafka_publisher import KafkaPublisher, Message
from shared.events.kafka_topics import KafkaTopics
from shared.events.subscription import PollingSubscription
from shared.settings import KafkaSection


class KafkaEventBus:
    """An `EventBus` on a Kafka cluster; nothing is sent before the first publication or poll.

    Args:
        settings: Where the cluster is, and the prefix of our topics and groups there.
        clock: Seconds, for the pauses after a failure.
    """

    def __init__(self, settings: KafkaSection, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._topics = KafkaTopics(settings)
        self._publisher = KafkaPublisher(settings, self._topics)
        self._open: list[KafkaBusConsumer | PollingSubscription] = []

    def publish(self, events: Sequence[Event]) -> None:
        """Append events to their topics; see the port.

        Raises:
            Unavailable: no broker acknowledged all of them in time. Some may be there: publish all again.
            PermissionDenied, InvalidArgument, FailedPrecondition: see `shared.events.kafka_client.reaching`.
        """
        prefix = self._settings.topic_prefix
        self._publisher.publish([Message(prefix + event.type, event) for event in events])

    def consumer(self, group: str, handlers: Mapping[str, BatchHandler], batch_size: int = 32) -> KafkaBusConsumer:
        """Join a group at the first poll; see the port."""
        check_membership(group, handlers, batch_size)
        consumer = KafkaBusConsumer(
            self._settings, self._topics, self._publisher, group, handlers, batch_size, self._clock
        )
        self._open.append(consumer)
        return consumer

    def subscribe(self, group: str, handlers: Mapping[str, BatchHandler], batch_size: int = 32) -> PollingSubscription:
        """Join a group with a thread; see the port."""
        subscription = PollingSubscription(self.consumer(group, handlers, batch_size), group)
        self._open.append(subscription)
        return subscription

    def close(self) -> None:
        """Leave every group, then disconnect."""
        for member in reversed(self._open):
            member.close()
        self._publisher.close()
        self._topics.close()
