"""What every `EventBus` does. An adapter's test class inherits it, opens buses on one log, and can let time pass."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import structlog

from shared.errors import InvalidArgument, Unavailable
from shared.events.bus import MAX_ATTEMPTS, BatchHandler, Consumer, Event, EventBus
from tests.support.events import each

TOPIC = "medq.embedding.image-ingested.v1"
OTHER = "medq.embedding.image-embedded.v1"


class Killed(BaseException):
    """Stands for a member that dies with an event in hand: nothing below it may catch it."""


def fact(name: str, key: str = "", **changes: Any) -> Event:
    fields: dict[str, Any] = {"type": TOPIC, "source": "medq/test", "data": name.encode(), "time": datetime.now(UTC)}
    return Event(id=name, key=key, **(fields | changes))


class Recorder:
    """A handler that keeps what it got, and raises for the ids it was told to."""

    def __init__(self, raising: Mapping[str, BaseException] | None = None) -> None:
        self.raising = dict(raising or {})
        self.batches: list[list[Event]] = []

    def __call__(self, events: Sequence[Event]) -> None:
        self.batches.append(list(events))
        for event in events:
            if event.id in self.raising:
                raise self.raising[event.id]

    @property
    def ids(self) -> list[str]:
        return [event.id for batch in self.batches for event in batch]


class EventBusSuite(ABC):
    poll_seconds = 0.0
    """How long a poll must wait before "there is nothing" can be believed."""

    @pytest.fixture(autouse=True)
    def log(self) -> Iterator[list[Any]]:
        with structlog.testing.capture_logs() as entries:
            yield entries

    @pytest.fixture
    @abstractmethod
    def bus(self) -> EventBus: ...

    @abstractmethod
    def pass_pause(self) -> None:
        """Let the longest pause before a redelivery pass."""

    @abstractmethod
    def pass_lease(self) -> None:
        """Let the lease of a dead member run out."""

    def drain(self, *consumers: Consumer) -> None:
        """Poll in turn until nobody gets anything."""
        while sum(consumer.poll(self.poll_seconds) for consumer in consumers):
            pass

    def read(
        self, bus: EventBus, group: str, handler: BatchHandler, topic: str = TOPIC, batch_size: int = 32
    ) -> Consumer:
        consumer = bus.consumer(group, {topic: handler}, batch_size)
        self.drain(consumer)
        return consumer

    def test_what_was_published_is_handled_in_order(self, bus: EventBus) -> None:
        bus.publish([fact("1"), fact("2")])
        bus.publish([fact("3")])
        recorder = Recorder()
        consumer = self.read(bus, "group", recorder)
        assert recorder.ids == ["1", "2", "3"]
        assert consumer.lag() == 0

    def test_an_event_arrives_as_it_was_sent(self, bus: EventBus) -> None:
        sent = fact(
            "id ü", "image-1", data=b"\x00\xff", time=datetime(2026, 1, 2, 3, 4, 5, 678901, timezone(timedelta(hours=2))),
            run_id="run", round=3, operation_id="operation", sequence=7, correlation_id="request", causation_id="event",
            attributes={"traceparent": "00-ab-cd-01"},
        )  # fmt: skip
        bus.publish([sent])
        recorder = Recorder()
        self.read(bus, "group", recorder)
        assert recorder.batches == [[sent]]
        assert recorder.batches[0][0] is not sent

    def test_every_group_gets_every_event(self, bus: EventBus) -> None:
        first, second = Recorder(), Recorder()
        bus.publish([fact("1"), fact("2")])
        self.read(bus, "first", first)
        self.read(bus, "second", second)
        assert first.ids == second.ids == ["1", "2"]

    def test_a_late_group_begins_at_the_earliest(self, bus: EventBus) -> None:
        bus.publish([fact("1")])
        self.read(bus, "early", Recorder())
        bus.publish([fact("2")])
        late = Recorder()
        self.read(bus, "late", late)
        assert late.ids == ["1", "2"]

    def test_a_member_that_comes_back_gets_only_what_is_new(self, bus: EventBus) -> None:
        bus.publish([fact("1")])
        self.read(bus, "group", Recorder()).close()
        bus.publish([fact("2")])
        recorder = Recorder()
        self.read(bus, "group", recorder)
        assert recorder.ids == ["2"]

    def test_members_of_a_group_share_the_events(self, bus: EventBus) -> None:
        recorders = [Recorder(), Recorder()]
        members = [bus.consumer("group", {TOPIC: recorder}, batch_size=1) for recorder in recorders]
        self.drain(*members)
        bus.publish([fact(str(n), key=str(n)) for n in range(20)])
        self.drain(*members)
        assert sorted(recorders[0].ids + recorders[1].ids, key=int) == [str(n) for n in range(20)]

    def test_topics_are_apart_and_a_batch_is_of_one(self, bus: EventBus) -> None:
        one, other = Recorder(), Recorder()
        bus.publish([fact("1"), fact("2", type=OTHER), fact("3")])
        self.drain(bus.consumer("group", {TOPIC: one, OTHER: other}))
        assert one.ids == ["1", "3"]
        assert other.ids == ["2"]

    def test_a_batch_has_at_most_its_size(self, bus: EventBus) -> None:
        recorder = Recorder()
        bus.publish([fact(str(n)) for n in range(7)])
        self.read(bus, "group", recorder, batch_size=3)
        assert max(len(batch) for batch in recorder.batches) == 3
        assert len(recorder.ids) == 7

    def test_an_id_that_was_published_before_is_dropped(self, bus: EventBus) -> None:
        recorder = Recorder()
        bus.publish([fact("1"), fact("1")])
        consumer = self.read(bus, "group", recorder)
        bus.publish([fact("1"), fact("2")])
        self.drain(consumer)
        assert recorder.ids == ["1", "2"]

    def test_an_event_whose_handler_raised_comes_again_after_a_pause(self, bus: EventBus) -> None:
        recorder = Recorder({"1": ValueError("not now")})
        bus.publish([fact("1")])
        consumer = self.read(bus, "group", recorder)
        assert recorder.ids == ["1"]
        assert consumer.lag() == 1
        recorder.raising.clear()
        self.pass_pause()
        self.drain(consumer)
        assert recorder.ids == ["1", "1"]
        assert consumer.lag() == 0

    def test_an_event_that_keeps_failing_is_dead_lettered_with_the_reason(self, bus: EventBus) -> None:
        recorder = Recorder({"bad": InvalidArgument("no such image", field="image_uri", value="x")})
        bus.publish([fact("bad", "k", run_id="run")])
        consumer = self.read(bus, "group", recorder)
        for _ in range(MAX_ATTEMPTS + 2):
            self.pass_pause()
            self.drain(consumer)
        assert recorder.ids == ["bad"] * MAX_ATTEMPTS
        assert consumer.lag() == 0
        letters = Recorder()
        self.read(bus, "operators", letters, topic=TOPIC + ".dlq")
        (letter,) = letters.batches[0]
        assert (letter.id, letter.type, letter.key, letter.data, letter.run_id) == ("bad", TOPIC, "k", b"bad", "run")
        assert letter.attributes["deadlettergroup"] == "group"
        assert letter.attributes["deadletterreason"] == "InvalidArgument: no such image (image_uri='x')"

    def test_the_text_of_a_foreign_error_stays_out_of_the_dead_letter(self, bus: EventBus) -> None:
        bus.publish([fact("bad")])
        consumer = self.read(bus, "group", Recorder({"bad": ValueError("patient Doe")}))
        for _ in range(MAX_ATTEMPTS):
            self.pass_pause()
            self.drain(consumer)
        letters = Recorder()
        self.read(bus, "operators", letters, topic=TOPIC + ".dlq")
        assert letters.batches[0][0].attributes["deadletterreason"] == "ValueError"

    def test_a_bad_event_does_not_take_its_batch_along(self, bus: EventBus) -> None:
        recorder = Recorder({"bad": ValueError()})
        bus.publish([fact("1", "a"), fact("bad", "b"), fact("2", "c")])
        consumer = self.read(bus, "group", recorder)
        for _ in range(MAX_ATTEMPTS):
            self.pass_pause()
            self.drain(consumer)
        assert [[event.id for event in batch] for batch in recorder.batches if len(batch) > 1] == [["1", "bad", "2"]]
        assert recorder.ids.count("1") == recorder.ids.count("2") == 2
        letters = Recorder()
        self.read(bus, "operators", letters, topic=TOPIC + ".dlq")
        assert letters.ids == ["bad"]

    def test_a_dependency_that_is_down_makes_no_dead_letters(self, bus: EventBus) -> None:
        recorder = Recorder({"1": Unavailable("the index is down")})
        bus.publish([fact("1")])
        consumer = self.read(bus, "group", recorder)
        for _ in range(3 * MAX_ATTEMPTS):
            self.pass_pause()
            self.drain(consumer)
        assert consumer.lag() == 1
        recorder.raising.clear()
        self.pass_pause()
        self.drain(consumer)
        assert consumer.lag() == 0

    def test_what_a_dead_member_had_in_hand_goes_to_another(self, bus: EventBus) -> None:
        bus.publish([fact("1"), fact("2")])
        with pytest.raises(Killed):
            self.read(bus, "group", Recorder({"2": Killed()}))
        consumer = bus.consumer("group", {TOPIC: (survivor := Recorder())})
        assert consumer.poll() == 0
        assert consumer.lag() == 2
        self.pass_lease()
        self.drain(consumer)
        assert survivor.ids == ["1", "2"]
        assert consumer.lag() == 0

    def test_events_of_a_key_keep_their_order_while_one_fails(self, bus: EventBus) -> None:
        recorder = Recorder({"a1": ValueError()})
        bus.publish([fact("a1", "a"), fact("b1", "b"), fact("a2", "a")])
        consumer = self.read(bus, "group", recorder, batch_size=1)
        assert recorder.ids == ["a1", "b1"]
        bus.publish([fact("a3", "a")])
        self.drain(consumer)
        recorder.raising.clear()
        self.pass_pause()
        self.drain(consumer)
        assert recorder.ids == ["a1", "b1", "a1", "a2", "a3"]

    def test_an_event_that_failed_holds_back_its_key_in_a_batch_of_others(self, bus: EventBus) -> None:
        recorder = Recorder({"a1": ValueError(), "b1": ValueError()})
        bus.publish([fact("b1", "b"), fact("b2", "b"), fact("a1", "a"), fact("a2", "a")])
        single = self.read(bus, "group", recorder, batch_size=1)
        recorder.raising.clear()
        self.pass_pause()
        assert single.poll(self.poll_seconds) == 1
        single.close()
        self.read(bus, "group", recorder)
        for key in ("a", "b"):
            order = [name for name in recorder.ids if name.startswith(key)]
            assert order == [key + "1", key + "1", key + "2"]

    def test_two_members_never_work_on_one_key_at_once(self, bus: EventBus) -> None:
        other = bus.consumer("group", {TOPIC: (others := Recorder())}, batch_size=1)
        in_hand: list[str] = []

        def handle(event: Event) -> None:
            self.drain(other)
            in_hand.append(event.key)
            assert event.key not in {name[0] for name in others.ids}

        bus.publish([fact("a1", "a"), fact("a2", "a"), fact("b1", "b")])
        assert bus.consumer("group", {TOPIC: each(handle)}, batch_size=1).poll(self.poll_seconds) == 1
        assert in_hand == ["a"]

    def test_a_subscription_handles_what_comes_and_stops(self, bus: EventBus) -> None:
        handled = threading.Semaphore(0)
        ids: list[str] = []

        def handle(event: Event) -> None:
            ids.append(event.id)
            handled.release()

        subscription = bus.subscribe("group", {TOPIC: each(handle)})
        for name in ("1", "2", "3"):
            bus.publish([fact(name)])
            assert handled.acquire(timeout=30)
        subscription.close()
        bus.publish([fact("4")])
        assert ids == ["1", "2", "3"]
        assert subscription.lag() == 1

    def test_a_closed_consumer_takes_nothing(self, bus: EventBus) -> None:
        bus.publish([fact("1")])
        consumer = bus.consumer("group", {TOPIC: (recorder := Recorder())})
        consumer.close()
        assert consumer.poll(30.0) == 0
        assert recorder.ids == []

    def test_closing_ends_a_waiting_poll(self, bus: EventBus) -> None:
        consumer = bus.consumer("group", {TOPIC: Recorder()})
        thread = threading.Thread(target=consumer.poll, args=(600.0,))
        thread.start()
        consumer.close()
        thread.join(30)
        assert not thread.is_alive()

    def test_a_consumer_needs_a_group_a_handler_and_a_batch(self, bus: EventBus) -> None:
        for group, handlers, size in (("", {TOPIC: Recorder()}, 1), ("g", {}, 1), ("g", {TOPIC: Recorder()}, 0)):
            with pytest.raises(InvalidArgument):
                bus.consumer(group, handlers, size)
