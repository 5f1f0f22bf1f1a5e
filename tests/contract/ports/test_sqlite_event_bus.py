import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.events.bus import EventBus
from shared.events.failure import MAX_LOSSES, RETRY_SECONDS
from shared.events.sqlite import LEASE_SECONDS, SqliteEventBus
from tests.contract.ports.event_bus_suite import TOPIC, EventBusSuite, Killed, Recorder, fact

# Takes one event and dies with it in hand, as `kill -9` would have it.
DIE_WITH_AN_EVENT = """
import os, sys
from pathlib import Path
from shared.events.sqlite import SqliteEventBus
bus = SqliteEventBus(Path(sys.argv[1]), clock=lambda: 0.0)
bus.consumer("group", {sys.argv[2]: lambda events: os._exit(9)}).poll()
"""


class TestSqliteEventBus(EventBusSuite):
    @pytest.fixture
    def bus(self, tmp_path: Path) -> Iterator[EventBus]:
        self.now = 0.0
        self.path = tmp_path / "events.db"
        bus = self.open()
        yield bus
        bus.close()

    def open(self, *, is_sole_owner: bool = False) -> SqliteEventBus:
        return SqliteEventBus(self.path, is_sole_owner=is_sole_owner, clock=lambda: self.now)

    def pass_pause(self) -> None:
        self.now += RETRY_SECONDS * 2**5

    def pass_lease(self) -> None:
        self.now += LEASE_SECONDS

    def test_a_process_that_dies_with_an_event_loses_it_to_another(self, bus: EventBus) -> None:
        bus.publish([fact("1")])
        command = [sys.executable, "-c", DIE_WITH_AN_EVENT, str(self.path), TOPIC]
        assert subprocess.run(command, cwd=Path(__file__).parents[3], check=False).returncode == 9
        consumer = self.read(bus, "group", recorder := Recorder())
        assert recorder.ids == []
        self.pass_lease()
        self.drain(consumer)
        assert recorder.ids == ["1"]

    def test_a_sole_owner_need_not_wait_for_leases(self, bus: EventBus) -> None:
        bus.publish([fact("1")])
        with pytest.raises(Killed):
            self.read(bus, "group", Recorder({"1": Killed()}))
        again = self.open(is_sole_owner=True)
        self.read(again, "group", recorder := Recorder())
        assert recorder.ids == ["1"]
        again.close()

    def test_another_member_gets_the_other_keys_meanwhile(self, bus: EventBus) -> None:
        other = bus.consumer("group", {TOPIC: (others := Recorder())}, batch_size=1)
        bus.publish([fact("a1", "a"), fact("a2", "a"), fact("b1", "b")])
        bus.consumer("group", {TOPIC: lambda _: self.drain(other)}, batch_size=1).poll()
        assert others.ids == ["b1"]

    def test_two_buses_on_one_file_share_groups_and_events(self, bus: EventBus) -> None:
        another = self.open()
        bus.publish([fact("1")])
        self.read(another, "group", recorder := Recorder())
        another.publish([fact("1"), fact("2")])
        self.read(bus, "group", recorder)
        assert recorder.ids == ["1", "2"]
        another.close()

    def test_a_member_whose_lease_ran_out_settles_nothing(self, bus: EventBus) -> None:
        def outlive_the_lease(_: object) -> None:
            self.pass_lease()
            self.read(bus, "group", Recorder({"1": ValueError()}))

        bus.publish([fact("1")])
        slow = bus.consumer("group", {TOPIC: outlive_the_lease})
        assert slow.poll() == 1
        assert slow.lag() == 1

    def test_an_event_that_kills_every_process_is_given_up_at_last(self, bus: EventBus) -> None:
        deadly = Recorder({"1": Killed()})
        consumer = bus.consumer("group", {TOPIC: deadly})
        bus.publish([fact("1", "k"), fact("2", "k")])
        for _ in range(MAX_LOSSES):
            with pytest.raises(Killed):
                consumer.poll()
            self.pass_lease()
        self.drain(consumer)
        assert deadly.ids == ["1", "2"] + ["1"] * (MAX_LOSSES - 1) + ["2"]
        self.read(bus, "operators", letters := Recorder(), topic=TOPIC + ".dlq")
        assert letters.ids == ["1"]
        assert "20 processes died" in letters.batches[0][0].attributes["deadletterreason"]

    def test_both_groups_that_give_an_event_up_leave_a_letter(self, bus: EventBus) -> None:
        bus.publish([fact("1")])
        consumers = [self.read(bus, group, Recorder({"1": ValueError()})) for group in ("a", "b")]
        for _ in range(5):
            self.pass_pause()
            self.drain(*consumers)
        self.read(bus, "operators", letters := Recorder(), topic=TOPIC + ".dlq")
        assert sorted(event.attributes["deadlettergroup"] for batch in letters.batches for event in batch) == ["a", "b"]
