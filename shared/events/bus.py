"""The port for facts (CloudEvents) and its value type. Knows neither Kafka nor SQLite.

A topic is a log; it has the name of the one type of event in it. Each group of consumers gets every event of
its topics once more than it may like (at least once): from the earliest on, to one member of the group, in
order for each key. An event is committed after its handler returned. A handler that raises gets it again
after a pause, and after `MAX_ATTEMPTS` the event goes to `<topic>.dlq`. Handlers are therefore idempotent: by
key where the effect is keyed, by event id where it is not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from google.protobuf.message import Message

from shared.errors import InvalidArgument

MAX_ATTEMPTS = 5
DEAD_LETTER_SUFFIX = ".dlq"
_TYPE = re.compile(r"medq\.[a-z]+\.[a-z]+(-[a-z]+)+\.v[1-9][0-9]*")
_ATTRIBUTE = re.compile(r"[a-z0-9]+")
#: An integer of CloudEvents has 32 bits.
LARGEST_INTEGER = 2**31 - 1


@dataclass(frozen=True)
class Event:
    """A fact. It carries an encoded message, which holds URIs and digests, never pixels.

    Attributes:
        id: The same for the same fact, however often it is published; see `event_id`.
        type: `medq.<service>.<noun>-<past-participle>.v1`, also the topic.
        source: Who says so, such as `medq/embedding`.
        key: What it is about (a run or an image id); events of one key keep their order. "" keeps none.
        data: The encoded protobuf message.
        time: When it happened, with a time zone.
        run_id, round, operation_id: What it happened in; "" and 0 outside of any.
        sequence: Counts up per key, so that a consumer can drop what is older than what it knows.
        correlation_id, causation_id: The request, and the event, that led to it; "" where there is none.
        attributes: Further extension attributes by lower-case name, such as those of a dead letter.
    """

    id: str
    type: str
    source: str
    key: str
    data: bytes
    time: datetime
    run_id: str = ""
    round: int = 0
    operation_id: str = ""
    sequence: int = 0
    correlation_id: str = ""
    causation_id: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what could not travel. Raises InvalidArgument."""
        if not _TYPE.fullmatch(self.type):
            remedy = "Name it medq.<service>.<noun>-<past-participle>.v1."
            raise InvalidArgument("Not an event type.", field="type", value=self.type, remedy=remedy)
        for name in ("id", "source"):
            if not getattr(self, name):
                raise InvalidArgument(f"An event needs its {name}.", field=name)
        for name in ("round", "sequence"):
            if not 0 <= getattr(self, name) <= LARGEST_INTEGER:
                raise InvalidArgument(
                    f"The number is not within 0..{LARGEST_INTEGER}.", field=name, value=getattr(self, name)
                )
        if self.time.tzinfo is None:
            raise InvalidArgument("The time of an event needs a time zone.", field="time", value=self.time)
        for name in self.attributes:
            if not _ATTRIBUTE.fullmatch(name):
                raise InvalidArgument("Not a CloudEvents attribute name.", field="attributes", value=name)


BatchHandler = Callable[[Sequence[Event]], None]


class Consumer(Protocol):
    """A member of a group. Used by one thread; `close` and `lag` by any."""

    def poll(self, wait_seconds: float = 0.0) -> int:
        """Take the next batch (events of one topic, in order), handle it, commit it.

        A handler's exception is recorded, not raised; the events of a failed batch come again one by one.

        Args:
            wait_seconds: How long to wait for an event where there is none.

        Returns: How many events were taken, handled or not; 0 where there was none.
        """

    def lag(self) -> int:
        """Count the events that the group has not yet committed (or given up) in this consumer's topics."""

    def close(self) -> None:
        """Leave the group and end a waiting `poll` at once; a batch in hand is finished first."""


class Subscription(Protocol):
    """A consumer with a thread of its own."""

    def lag(self) -> int:
        """See `Consumer.lag`."""

    def close(self) -> None:
        """Stop promptly: a batch in hand is finished, no other is begun."""


class EventBus(Protocol):
    """Where facts are published and consumed. Safe to use from several threads and processes."""

    def publish(self, events: Sequence[Event]) -> None:
        """Append events to their topics, durably, in order; one whose id is there already is dropped."""

    def consumer(self, group: str, handlers: Mapping[str, BatchHandler], batch_size: int = 32) -> Consumer:
        """Join a group; the caller polls.

        Args:
            group: The group's name; the members of one group share the events.
            handlers: Topic -> what to do with a batch of its events; see `each`.
            batch_size: The most events a handler gets at once, at least 1.
        """

    def subscribe(self, group: str, handlers: Mapping[str, BatchHandler], batch_size: int = 32) -> Subscription:
        """Join a group with a thread that polls until it is closed; arguments as in `consumer`."""

    def close(self) -> None:
        """Close every consumer and subscription made here."""


def check_membership(group: str, handlers: Mapping[str, BatchHandler], batch_size: int) -> None:
    """Refuse a consumer that could do nothing. Raises InvalidArgument."""
    if not group or not handlers:
        raise InvalidArgument("A consumer needs a group and a handler.", field="group", value=group)
    if batch_size < 1:
        raise InvalidArgument("A batch holds at least one event.", field="batch_size", value=batch_size)


def event_id(*parts: str | int) -> str:
    """An event's id from what makes the fact unique (type, operation, key), so that a restart publishes the same one.

    Returns: 32 hex digits; different parts, or the same text cut differently, give different ids.
    """
    return hashlib.sha256("\0".join(f"{len(str(part))}:{part}" for part in parts).encode()).hexdigest()[:32]


def topic_of(message: type[Message]) -> str:
    """Topic and type of a message's events: `medq.embedding.image-ingested.v1` of `medq.embedding.v1.ImageIngested`."""
    package, service, version, name = message.DESCRIPTOR.full_name.split(".")
    words = re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
    return f"{package}.{service}.{words}.{version}"


def event_of(
    message: Message,
    unique: Sequence[str | int],
    *,
    key: str,
    run_id: str = "",
    round: int = 0,
    operation_id: str = "",
    sequence: int = 0,
) -> Event:
    """The event that carries a message, now.

    Args:
        message: What happened; its type is the event's, and its package names who says so.
        unique: What makes the fact unique beside its type; see `event_id`.
        key, run_id, round, operation_id, sequence: See `Event`.
    """
    topic = topic_of(type(message))
    return Event(
        id=event_id(topic, *unique),
        type=topic,
        source="/".join(topic.split(".")[:2]),
        key=key,
        data=message.SerializeToString(deterministic=True),
        time=datetime.now(UTC),
        run_id=run_id,
        round=round,
        operation_id=operation_id,
        sequence=sequence,
    )
