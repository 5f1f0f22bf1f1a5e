"""What other systems see on Kafka, and what of theirs is taken."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.consumer.fetcher import ConsumerRecord

from shared.errors import Unavailable
from shared.events.bus import Event
from shared.events.kafka import KafkaEventBus
from shared.settings import KafkaSection
from tests.contract.ports.event_bus_suite import TOPIC, Recorder, fact
from tests.support.events import each
from tests.support.kafka_topics import own_topics, section_of


@pytest.fixture
def settings(kafka: str) -> Iterator[KafkaSection]:
    with own_topics(kafka) as prefix:
        yield section_of(kafka, prefix)


@pytest.fixture
def bus(settings: KafkaSection) -> Iterator[KafkaEventBus]:
    bus = KafkaEventBus(settings)
    yield bus
    bus.close()


def records_of(settings: KafkaSection, topic: str, n: int) -> list[ConsumerRecord]:
    """The first `n` records, read as any other system would."""
    name = settings.topic_prefix + topic
    reader = KafkaConsumer(name, bootstrap_servers=settings.bootstrap, auto_offset_reset="earliest")
    found: list[ConsumerRecord] = []
    while len(found) < n:
        found += [record for records in reader.poll(1000).values() for record in records]
    reader.close()
    return found


def take(bus: KafkaEventBus, topic: str, n: int, group: str = "operators") -> list[Event]:
    """The first `n` events that a group gets."""
    found: list[Event] = []
    consumer = bus.consumer(group, {topic: found.extend})
    while len(found) < n:
        consumer.poll(1.0)
    consumer.close()
    return found


def test_a_record_is_a_cloud_event_in_binary_mode(settings: KafkaSection, bus: KafkaEventBus) -> None:
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    bus.publish([fact("id ü", "image-1", data=b"\x00\xff", time=time, run_id="run")])
    (record,) = records_of(settings, TOPIC, 1)
    assert (record.key, record.value) == (b"image-1", b"\x00\xff")
    assert dict(record.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": "id ü".encode(),
        "ce_type": TOPIC.encode(),
        "ce_source": b"medq/test",
        "ce_time": b"2026-01-02T03:04:05Z",
        "ce_partitionkey": b"image-1",
        "ce_runid": b"run",
        "ce_round": b"0",
        "ce_sequence": b"0",
        "content-type": b"application/protobuf",
    }


def test_an_event_without_a_key_is_placed_by_its_id(settings: KafkaSection, bus: KafkaEventBus) -> None:
    bus.publish([fact("1")])
    (record,) = records_of(settings, TOPIC, 1)
    assert record.key == b"1"
    assert "ce_partitionkey" not in dict(record.headers)


def test_a_foreign_message_goes_to_the_dead_letters_and_holds_up_nothing(
    settings: KafkaSection, bus: KafkaEventBus
) -> None:
    bus.publish([fact("1", "k")])
    foreign = KafkaProducer(bootstrap_servers=settings.bootstrap)
    name = settings.topic_prefix + TOPIC
    foreign.send(name, b"no event", key=b"\xff", headers=[("other", b"\xfe")]).get(10)
    foreign.send(name, None, key=b"k").get(10)
    foreign.close()
    bus.publish([fact("2", "k")])
    assert [event.id for event in take(bus, TOPIC, 2, "group")] == ["1", "2"]
    letters = take(bus, TOPIC + ".dlq", 2)
    assert [(letter.id, letter.data, letter.type) for letter in letters] == [
        (f"{name}/0/1", b"no event", TOPIC),
        (f"{name}/0/2", b"", TOPIC),
    ]
    assert letters[0].attributes == {
        "deadlettergroup": "group",
        "deadletterreason": "InvalidArgument: Not a CloudEvent of version 1.0. (ce_specversion='None')",
    }


def test_a_copy_published_by_another_process_is_dropped_by_a_new_member(
    settings: KafkaSection, bus: KafkaEventBus
) -> None:
    bus.publish([fact("1", "k")])
    take(bus, TOPIC, 1, "group")
    another = KafkaEventBus(settings)
    another.publish([fact("1", "k"), fact("2", "k")])
    assert [event.id for event in take(another, TOPIC, 1, "group")] == ["2"]
    another.close()


def test_topics_have_the_partitions_of_the_settings(settings: KafkaSection) -> None:
    bus = KafkaEventBus(settings.model_copy(update={"partitions": 3}))
    bus.consumer("group", {TOPIC: Recorder()}).poll()
    reader = KafkaConsumer(bootstrap_servers=settings.bootstrap)
    for topic in (TOPIC, TOPIC + ".dlq"):
        assert reader.partitions_for_topic(settings.topic_prefix + topic) == {0, 1, 2}
    reader.close()
    bus.close()


def test_without_a_broker_every_call_says_what_to_do() -> None:
    bus = KafkaEventBus(KafkaSection.model_validate({"bootstrap": "127.0.0.1:9", "call_seconds": 1}))
    consumer = bus.consumer("group", {TOPIC: each(print)})
    for call in (lambda: bus.publish([fact("1")]), consumer.poll, consumer.lag):
        with pytest.raises(Unavailable, match=r"127.0.0.1:9.*Check that a broker runs there"):
            call()
    bus.close()
