"""Members of a group that succeed, fail and die in any order lose nothing, repeat no success and keep the
order of a key.
"""

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.events.bus import MAX_ATTEMPTS, Event
from shared.events.failure import MAX_LOSSES, RETRY_SECONDS
from shared.events.sqlite import LEASE_SECONDS, SqliteEventBus

TOPIC = "medq.embedding.image-ingested.v1"
TIME = datetime(2026, 1, 1, tzinfo=UTC)
LONG_ENOUGH_SECONDS = max(LEASE_SECONDS, RETRY_SECONDS * 2**MAX_ATTEMPTS)


class Killed(BaseException):
    """A member dies with its batch in hand."""


class Redelivery(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.now = 0.0
        self.bus = SqliteEventBus(Path(self.folder.name) / "events.db", clock=lambda: self.now)
        self.published: dict[str, str] = {}
        self.done: list[str] = []
        self.buried: list[str] = []
        self.letters = self.bus.consumer("operators", {TOPIC + ".dlq": self.bury})

    def bury(self, letters: Sequence[Event]) -> None:
        self.buried.extend(letter.id for letter in letters)

    def poll(self, outcome: BaseException | None, batch_size: int) -> int:
        def handle(events: Sequence[Event]) -> None:
            if outcome is not None:
                raise outcome
            self.done.extend(event.id for event in events)

        return self.bus.consumer("group", {TOPIC: handle}, batch_size).poll()

    @rule(names=st.lists(st.integers(0, 30), min_size=1, max_size=4), key=st.sampled_from(["a", "b", ""]))
    def publish(self, names: list[int], key: str) -> None:
        events = [Event(id=str(n), type=TOPIC, source="test", key=key, data=b"", time=TIME) for n in names]
        self.bus.publish(events)
        for event in events:
            self.published.setdefault(event.id, event.key)

    @rule(batch_size=st.integers(1, 3))
    def succeed(self, batch_size: int) -> None:
        self.poll(None, batch_size)

    @rule(batch_size=st.integers(1, 3))
    def fail(self, batch_size: int) -> None:
        with structlog.testing.capture_logs():
            self.poll(ValueError(), batch_size)

    @rule(batch_size=st.integers(1, 3))
    def die(self, batch_size: int) -> None:
        try:
            self.poll(Killed(), batch_size)
        except Killed:
            return

    @rule(seconds=st.sampled_from([0.5, RETRY_SECONDS, LEASE_SECONDS]))
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def nothing_is_lost_or_done_twice(self) -> None:
        if not hasattr(self, "published"):
            return
        while self.letters.poll():
            pass
        settled = self.done + self.buried
        assert len(settled) == len(set(settled))
        lag = self.bus.consumer("group", {TOPIC: print}).lag()
        assert lag == len(self.published) - len(settled)

    @invariant()
    def the_successes_of_a_key_are_in_the_order_of_publishing(self) -> None:
        place = {name: n for n, name in enumerate(getattr(self, "published", {}))}
        for key in ("a", "b"):
            places = [place[name] for name in getattr(self, "done", []) if self.published[name] == key]
            assert places == sorted(places)

    def teardown(self) -> None:
        try:
            self.everything_is_settled_in_the_end()
        finally:
            self.bus.close()
            self.folder.cleanup()

    def everything_is_settled_in_the_end(self) -> None:
        for _ in range(MAX_ATTEMPTS + MAX_LOSSES):
            self.now += LONG_ENOUGH_SECONDS
            while self.poll(None, 4):
                pass
        self.nothing_is_lost_or_done_twice()
        self.the_successes_of_a_key_are_in_the_order_of_publishing()
        assert sorted(self.done + self.buried) == sorted(self.published)


Redelivery.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestRedelivery = Redelivery.TestCase
