"""The queue of the experts against a model of it: leases, decisions, second thoughts, repeats, restarts, in any order."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.oracle.domain.review import PEOPLE, Verdict
from services.oracle.store.review_decisions import UNDO_SECONDS
from services.oracle.store.review_tables import CLOSED, DECIDED, METADATA, OPEN, WITHDRAWN
from services.oracle.store.reviews import ReviewStore
from shared.database import create_engine, sqlite_url
from shared.errors import AlreadyExists, FailedPrecondition
from tests.support.reviews import queue_entry

N_TASKS = 6
NUMBERS = st.integers(0, N_TASKS - 1)
REVIEWERS = st.sampled_from(["ann", "bob"])
VERDICTS = st.builds(
    Verdict,
    action=st.just("edit"),
    answer=st.sampled_from("AB"),
    reason=st.just(""),
    active_seconds=st.sampled_from([1.0, 2.0]),
    reviewer=REVIEWERS,
)


@dataclass
class Model:
    """A task as it should be."""

    state: str = OPEN
    revision: int = 1
    reviewer: str = ""
    until: float = 0.0
    is_locked: bool = False


class ReviewQueue(RuleBasedStateMachine):
    """One process at a time on one file; a restart is another process."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.engine: sa.Engine | None = None
        self.clock = 1000.0
        self.tasks: dict[int, Model] = {}
        self.decisions: dict[tuple[int, int], Verdict] = {}
        self.decided_at: dict[tuple[int, int], float] = {}
        self.undone: set[tuple[int, int, str]] = set()
        self.reopened: set[tuple[int, int]] = set()
        self.entries = [queue_entry(number, route="audit" if number % 2 else "expert") for number in range(N_TASKS)]
        self.restart()

    @rule()
    def restart(self) -> None:
        if self.engine is not None:
            self.engine.dispose()
        self.engine = create_engine(sqlite_url(Path(self.folder.name) / "queue.sqlite"))
        METADATA.create_all(self.engine)
        self.queue = ReviewStore(self.engine, lambda: sa.literal(self.clock, sa.Float))

    @rule(numbers=st.sets(NUMBERS, min_size=1))
    def put(self, numbers: set[int]) -> None:
        self.queue.put([self.entries[number] for number in sorted(numbers)], "op", "request")
        for number in numbers:
            known = self.tasks.setdefault(number, Model())
            if known.state == WITHDRAWN:
                known.state, known.revision, known.is_locked = OPEN, known.revision + 1, False

    @rule(reviewer=REVIEWERS, count=st.integers(1, 4), seconds=st.sampled_from([10, 100]))
    def lease(self, reviewer: str, count: int, seconds: int) -> None:
        leased = self.queue.lease(PEOPLE, reviewer, count, seconds)
        numbers = [int(one.entry.asked.decision_id.removeprefix("d-")) for one in leased]
        held = {n for n, task in self.tasks.items() if task.reviewer == reviewer and task.until > self.clock}
        free = {n for n, task in self.tasks.items() if task.state == OPEN and task.until <= self.clock}
        assert len(set(numbers)) == len(numbers) == min(count, len(held) + len(free))
        assert set(numbers) <= held | free
        assert len(held & set(numbers)) == min(count, len(held))
        priorities = [self.entries[number].priority for number in numbers]
        assert priorities == sorted(priorities)
        for number in numbers:
            self.tasks[number].reviewer, self.tasks[number].until = reviewer, self.clock + seconds

    @rule(seconds=st.sampled_from([1.0, 11.0, 101.0, 601.0]))
    def wait(self, seconds: float) -> None:
        self.clock += seconds

    @rule(number=NUMBERS, revision=st.integers(1, 3), verdict=VERDICTS)
    def decide(self, number: int, revision: int, verdict: Verdict) -> None:
        task = self.tasks.get(number)
        if task is None:
            return
        known = self.decisions.get((number, revision))
        is_free = task.until <= self.clock or task.reviewer == verdict.reviewer
        is_right = task.state == OPEN and task.revision == revision and is_free
        try:
            _, is_new = self.queue.decide(self.entries[number].task_id, revision, verdict)
        except AlreadyExists:
            assert known is not None
            assert known != verdict
        except FailedPrecondition:
            assert known is None
            assert not is_right
        else:
            assert is_new == (known is None)
            assert is_right if is_new else known == verdict
            if is_new:
                self.decisions[number, revision] = verdict
                self.decided_at[number, revision] = self.clock
                self.tasks[number] = Model(DECIDED, revision)

    @rule(number=NUMBERS, reviewer=REVIEWERS)
    def release(self, number: int, reviewer: str) -> None:
        task = self.tasks.get(number)
        if task is None:
            return
        is_held = task.reviewer == reviewer and task.until > self.clock
        assert self.queue.release(self.entries[number].task_id, reviewer)[1] == is_held
        if is_held:
            task.reviewer, task.until = "", 0.0

    @rule(number=NUMBERS, revision=st.integers(1, 3), reviewer=REVIEWERS)
    def undo(self, number: int, revision: int, reviewer: str) -> None:
        task, known = self.tasks.get(number), self.decisions.get((number, revision))
        if task is None:
            return
        is_theirs = known is not None and known.reviewer == reviewer
        is_young = self.clock - self.decided_at.get((number, revision), 0) <= UNDO_SECONDS
        is_right = (task.state, task.revision, task.is_locked) == (DECIDED, revision, False) and is_theirs and is_young
        key = (number, revision, reviewer)
        try:
            _, is_new = self.queue.undo(self.entries[number].task_id, revision, reviewer, 10)
        except FailedPrecondition:
            assert not is_right
            assert key not in self.undone
        else:
            assert is_new == is_right == (key not in self.undone)
            if is_new:
                self.undone.add(key)
                self.tasks[number] = Model(OPEN, revision + 1, reviewer, self.clock + 10)

    @rule(number=NUMBERS, revision=st.integers(1, 3))
    def reopen(self, number: int, revision: int) -> None:
        task = self.tasks.get(number)
        if task is None:
            return
        is_right = task.state in (DECIDED, CLOSED) and task.revision == revision and not task.is_locked
        try:
            _, is_new = self.queue.reopen(self.entries[number].task_id, revision, "operator", "why")
        except FailedPrecondition:
            assert not is_right
            assert (number, revision) not in self.reopened
        else:
            assert is_new == is_right == ((number, revision) not in self.reopened)
            if is_new:
                self.reopened.add((number, revision))
                self.tasks[number] = Model(OPEN, revision + 1)

    @rule()
    def lock(self) -> None:
        is_done = all(task.state != OPEN for task in self.tasks.values())
        assert self.queue.lock("work") == is_done
        if is_done:
            for task in self.tasks.values():
                task.is_locked = True

    @rule()
    def withdraw(self) -> None:
        self.queue.withdraw("work")
        self._end(WITHDRAWN)

    @rule()
    def close(self) -> None:
        self.queue.close("run")
        self._end(CLOSED)

    def _end(self, state: str) -> None:
        for number, task in self.tasks.items():
            if task.state == OPEN:
                self.tasks[number] = Model(state, task.revision)

    @invariant()
    def the_queue_is_as_the_model(self) -> None:
        stored = {one.entry.asked.decision_id: one for one in self.queue.of_work("work")}
        assert stored.keys() == {f"d-{number}" for number in self.tasks}
        for number, task in self.tasks.items():
            found = stored[f"d-{number}"]
            holder = task.reviewer if task.until > self.clock else ""
            assert (found.state, found.revision, found.reviewer) == (task.state, task.revision, holder)
            assert found.verdict == self.decisions.get((number, task.revision))

    @invariant()
    def no_decision_is_lost_or_doubled(self) -> None:
        assert self.engine is not None
        with self.engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT count(*) FROM review_log WHERE kind = 'decide'")).scalar_one()
        assert rows == len(self.decisions)
        assert self.queue.verify().fault == ""

    def teardown(self) -> None:
        if self.engine is not None:
            self.engine.dispose()
        self.folder.cleanup()


ReviewQueue.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestReviewQueue = ReviewQueue.TestCase
