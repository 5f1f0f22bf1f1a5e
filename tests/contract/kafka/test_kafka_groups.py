"""Members of a group come, go, work long and die."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pytest

from shared.events.bus import Event
from shared.events.kafka import KafkaEventBus
from shared.events.kafka_backlog import READ_AHEAD
from shared.events.kafka_consumer import KafkaBusConsumer
from shared.settings import KafkaSection
from tests.contract.ports.event_bus_suite import TOPIC, Recorder, fact
from tests.support.kafka_topics import own_topics, section_of

N_PARTITIONS = 2
# Takes what there is and dies with it in hand, as `kill -9` would have it.
DIE_WITH_AN_EVENT = """
import os, sys
from shared.events.kafka import KafkaEventBus
from shared.settings import KafkaSection
bus = KafkaEventBus(KafkaSection.model_validate_json(sys.argv[1]))
consumer = bus.consumer("group", {sys.argv[2]: lambda events: os._exit(9)})
while True:
    consumer.poll(1.0)
"""


@pytest.fixture
def settings(kafka: str) -> Iterator[KafkaSection]:
    with own_topics(kafka) as prefix:
        yield section_of(kafka, prefix, partitions=N_PARTITIONS, handler_seconds=2)


@pytest.fixture
def bus(settings: KafkaSection) -> Iterator[KafkaEventBus]:
    bus = KafkaEventBus(settings)
    yield bus
    bus.close()


def settle(*members: KafkaBusConsumer, n_partitions: int = N_PARTITIONS) -> None:
    """Poll in turn until they are at rest and have so many partitions, each at least one."""
    while True:
        n_taken = sum(member.poll(0.05) for member in members)
        owned = [member.n_partitions for member in members]
        is_shared = sum(owned) >= n_partitions and all(owned)
        if not n_taken and is_shared and all(member.is_caught_up() for member in members):
            return


def spread(n: int, start: int = 0) -> list[Event]:
    """Events of eight keys, which lie in both of two partitions."""
    return [fact(f"{i}", key=f"key-{i % 8}") for i in range(start, start + n)]


def test_members_share_and_each_event_is_handled_once_whoever_comes_and_goes(bus: KafkaEventBus) -> None:
    first, second = Recorder(), Recorder()
    one = bus.consumer("group", {TOPIC: first})
    bus.publish(spread(40))
    settle(one)
    two = bus.consumer("group", {TOPIC: second})
    settle(one, two)
    bus.publish(spread(40, 40))
    settle(one, two)
    assert len(first.ids) > 40
    assert second.ids
    one.close()
    bus.publish(spread(40, 80))
    settle(two)
    assert sorted(first.ids + second.ids, key=int) == [str(i) for i in range(120)]
    for recorder in (first, second):
        events = sorted((event for batch in recorder.batches for event in batch), key=lambda event: event.key)
        for _, its in groupby(events, key=lambda event: event.key):
            numbers = [int(event.id) for event in its]
            assert numbers == sorted(numbers)


def test_a_handler_longer_than_the_limit_keeps_its_partitions_and_its_event_is_handled_once(
    settings: KafkaSection, bus: KafkaEventBus
) -> None:
    recorder = Recorder()

    def handle_long(events: Sequence[Event]) -> None:
        recorder(events)
        other = bus.consumer("other group", {TOPIC: Recorder()})
        end = time.monotonic() + settings.handler_seconds + settings.session_seconds
        while time.monotonic() < end:
            other.poll(0.5)

    bus.publish([fact("1", "key")])
    consumer = bus.consumer("group", {TOPIC: handle_long})
    settle(consumer)
    assert recorder.ids == ["1"]
    assert consumer.lag() == 0


def test_a_partition_in_hand_moves_only_when_its_batch_is_committed(bus: KafkaEventBus) -> None:
    in_hand, settled = threading.Event(), threading.Event()
    first, second = Recorder(), Recorder()

    def handle_slowly(events: Sequence[Event]) -> None:
        first(events)
        in_hand.set()
        settled.wait(30)

    bus.publish(spread(16))
    slow = bus.consumer("group", {TOPIC: handle_slowly})
    settle_slow = threading.Thread(target=lambda: settle(slow, n_partitions=1))
    # Both partitions are read before the first batch is taken, so both are in hand.
    slow.poll(0.0)
    settle_slow.start()
    assert in_hand.wait(30)
    newcomer = bus.consumer("group", {TOPIC: second})
    while newcomer.poll(0.05) or not newcomer.is_caught_up():
        pass
    held = {event.key for batch in first.batches for event in batch}
    assert not held & {event.key for batch in second.batches for event in batch}
    settled.set()
    while not newcomer.n_partitions:
        newcomer.poll(0.05)
    settle(newcomer, n_partitions=1)
    settle_slow.join(30)
    assert sorted(first.ids + second.ids, key=int) == [str(i) for i in range(16)]
    assert newcomer.lag() == 0


def test_a_killed_process_loses_its_events_to_another(settings: KafkaSection, bus: KafkaEventBus) -> None:
    bus.publish(spread(16))
    command = [sys.executable, "-W", "ignore", "-c", DIE_WITH_AN_EVENT, settings.model_dump_json(), TOPIC]
    assert subprocess.run(command, cwd=Path(__file__).parents[3], check=False).returncode == 9
    recorder = Recorder()
    consumer = bus.consumer("group", {TOPIC: recorder})
    settle(consumer)
    assert sorted(recorder.ids, key=int) == [str(i) for i in range(16)]
    assert consumer.lag() == 0


def test_a_backlog_larger_than_what_is_read_ahead_is_worked_off(settings: KafkaSection) -> None:
    bus = KafkaEventBus(settings.model_copy(update={"partitions": 4, "session_seconds": 10.0, "handler_seconds": 30.0}))
    for start in range(0, 8 * READ_AHEAD, 500):
        bus.publish(spread(500, start))
    n_handled = 0

    def handle(events: Sequence[Event]) -> None:
        nonlocal n_handled
        n_handled += len(events)

    consumer = bus.consumer("group", {TOPIC: handle}, batch_size=500)
    while n_handled < 8 * READ_AHEAD:
        consumer.poll(1.0)
    assert n_handled == 8 * READ_AHEAD
    assert consumer.lag() == 0
    bus.close()
