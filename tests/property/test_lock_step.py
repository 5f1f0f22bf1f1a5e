"""Arms side by side, over whatever they do and wherever a kill comes: each keeps its order, and nothing is done twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medq.evaluation.v1.evaluation_pb2 import StartEvaluateRequest
from medq.oracle.v1.oracle_pb2 import StartAnnotateRequest
from medq.training.v1.training_pb2 import StartTrainRequest
from services.controller.adapters.dbos_workflows import _step_to_repeat
from services.controller.loop.calls import Made
from services.controller.loop.lock_step import in_lock_step
from services.controller.loop.other_services import ANNOTATE, EVALUATE, TRAIN
from services.controller.loop.steps import ArmEnded
from services.controller.loop.works import Lines, Work
from shared.errors import BudgetExhausted, Internal, MedqError, decode_error, encode_error

STARTS: Mapping[str, tuple[Any, type[Any]]] = {
    "evaluate": (EVALUATE, StartEvaluateRequest),
    "annotate": (ANNOTATE, StartAnnotateRequest),
    "train": (TRAIN, StartTrainRequest),
}
#: What a line wants done beside each other, and what the arm notes on its own behind it.
Line = tuple[Sequence[str], bool]
KILLS = ("before", "after")


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Memory:
    """The memory of a workflow as DBOS keeps it: the n-th step under its name, its outcome as JSON.

    `kills` says of each step that is newly done whether a kill comes before it is remembered, after, or not at all.
    """

    kills: Iterator[str]
    rows: list[tuple[str, str]] = field(default_factory=list)
    place: int = 0

    def __call__(self, name: str, function: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        self.place += 1
        if self.place > len(self.rows):
            outcome = json.dumps(function())
            kill = next(self.kills, "")
            if kill == "before":
                raise Killed
            self.rows.append((name, outcome))
            if kill == "after":
                raise Killed
        kept, outcome = self.rows[self.place - 1]
        assert kept == name, "a step has another name than before the kill"
        found: dict[str, Any] = json.loads(outcome)
        return found

    def as_dbos_lists(self) -> list[dict[str, Any]]:
        return [
            {"function_id": number, "function_name": name, "output": json.loads(outcome)}
            for number, (name, outcome) in enumerate(self.rows, 1)
        ]


@dataclass
class World:
    """The other services, and what was noted. An operation is started once, whatever is asked; a failed one stays failed."""

    failing: Mapping[str, str]
    started: list[str] = field(default_factory=list)
    noted: dict[str, int] = field(default_factory=dict)

    def failure_of(self, operation_id: str) -> MedqError | None:
        reason = self.failing.get(operation_id)
        return {"budget": BudgetExhausted("Spent."), "broken": Internal("Broken.")}.get(reason or "")

    def start(self, base: str) -> dict[str, Any]:
        names = (base if number == 1 else f"{base}/{number}" for number in count(1))
        operation_id = next(name for name in names if name not in self.started or self.failure_of(name) is None)
        if operation_id not in self.started:
            self.started.append(operation_id)
        return {"operation_id": operation_id}

    def wait(self, operation_id: str, place: str) -> dict[str, Any]:
        if failure := self.failure_of(operation_id):
            raise failure
        self.noted[place] = self.noted.get(place, 0)
        return {"uri": operation_id, "rows": {}}


@dataclass(frozen=True)
class FakeCalls:
    """`Calls` over a world: the same steps under the same names."""

    arm: str
    round: int
    world: World
    memory: Memory

    def remember(self, name: str, function: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        def caught() -> dict[str, Any]:
            try:
                return {"value": function()}
            except MedqError as error:
                return {"failure": encode_error(error)}

        outcome = self.memory(f"{self.arm}/{self.round}/{name}", caught)
        if "failure" in outcome:
            raise decode_error(outcome["failure"])
        value: dict[str, Any] = outcome["value"]
        return value

    def begin(self, step: str, start: object, request: object, *, may_pause: bool) -> str:
        base = f"{self.arm}/{self.round}/{step}"
        return str(self.remember(f"start {step}", lambda: self.world.start(base))["operation_id"])

    def finish(self, step: str, start: object, request: object, operation_id: str, *, is_last: bool) -> Made:
        place = f"{self.arm}/{self.round}/{step}"
        return Made(**self.remember(f"wait {step}", lambda: self.world.wait(operation_id, place)))


@dataclass(frozen=True)
class FakeSteps:
    calls: FakeCalls

    def end_arm(self, reason: str) -> None:
        self.calls.remember("stop", dict)


def lines_of(arm: str, script: Sequence[Sequence[Line]], world: World, memory: Memory) -> Lines[None]:
    """The lines of an arm by its script: rounds of lines. What the budget does not cover ends it."""
    for number, lines in enumerate(script):
        calls = FakeCalls(arm, number, world, memory)
        for place, (kinds, has_note) in enumerate(lines):
            try:
                made = yield [_work(calls, kind, place, shard) for shard, kind in enumerate(kinds)]
            except BudgetExhausted:
                raise ArmEnded("budget", FakeSteps(calls)) from None
            assert len(made) == len(kinds)
            if has_note:
                calls.remember(f"note {place}", dict)
    raise ArmEnded("rounds", FakeSteps(FakeCalls(arm, len(script), world, memory)))


def _work(calls: FakeCalls, kind: str, place: int, shard: int) -> Work:
    start, request = STARTS[kind]
    return Work(calls, f"{kind} {place}.{shard}", start, request(arm=calls.arm, round=calls.round))


def run(scripts: Sequence[Sequence[Sequence[Line]]], world: World, memory: Memory, *, is_limited: bool) -> None:
    """As the controller runs a workflow: again after each kill, and at the end a report, whatever failed."""
    while True:
        memory.place = 0
        try:
            arms = [lines_of(f"arm{number}", script, world, memory) for number, script in enumerate(scripts)]
            memory("-/0/publish_report", partial(dict, value=_failure_of(arms, is_limited=is_limited)))
        except Killed:
            continue
        return


def _failure_of(arms: Sequence[Lines[None]], *, is_limited: bool) -> str | None:
    try:
        in_lock_step(arms, is_limited=is_limited)
    except MedqError as error:
        return str(error)
    return None


def run_to_success(scripts: Any, world: World, memory: Memory, *, is_limited: bool) -> int:
    """Run, and start the run again after each failure. Gives how often that was."""
    for n_failures in range(20):
        run(scripts, world, memory, is_limited=is_limited)
        if json.loads(memory.rows[-1][1])["value"] is None:
            return n_failures
        del memory.rows[_step_to_repeat(memory.as_dbos_lists()) - 1 :]
    raise AssertionError("the run fails for ever")


line = st.tuples(st.lists(st.sampled_from([*STARTS]), min_size=1, max_size=2), st.booleans())
scripts_of_arms = st.lists(
    st.lists(st.lists(line, min_size=1, max_size=3), min_size=1, max_size=2), min_size=1, max_size=4
)
kills = st.lists(st.sampled_from(["", "", *KILLS]), max_size=40)


def operations_of(arm: int, script: Sequence[Sequence[Line]]) -> list[str]:
    """What an arm asks for, in its own order."""
    return [
        f"arm{arm}/{number}/{kind} {place}.{shard}"
        for number, lines in enumerate(script)
        for place, (kinds, _) in enumerate(lines)
        for shard, kind in enumerate(kinds)
    ]


@given(scripts=scripts_of_arms, moments=kills, is_limited=st.booleans())
def test_each_arm_keeps_its_order_and_a_kill_changes_nothing(scripts, moments, is_limited):
    calm, killed = World({}), World({})
    undisturbed, memory = Memory(iter(())), Memory(iter(moments))
    run(scripts, calm, undisturbed, is_limited=is_limited)
    run(scripts, killed, memory, is_limited=is_limited)
    assert memory.rows == undisturbed.rows
    assert killed.started == calm.started
    assert len({*calm.started}) == len(calm.started)
    for number, script in enumerate(scripts):
        asked = operations_of(number, script)
        own = [name for name in calm.started if name.startswith(f"arm{number}/")]
        assert own == [name for name in asked if name in own]
        shared = {name for name in asked if name not in own}
        assert all("/evaluate " in name for name in shared)
        assert {*asked} <= {*calm.noted}


@given(scripts=scripts_of_arms, moments=kills, is_limited=st.booleans(), data=st.data())
def test_what_failed_is_repeated_when_the_run_goes_on_and_nothing_else(scripts, moments, is_limited, data):
    asked = [name for number, script in enumerate(scripts) for name in operations_of(number, script)]
    failing = data.draw(st.dictionaries(st.sampled_from(asked), st.sampled_from(["budget", "broken"]), max_size=4))
    world, memory = World(failing), Memory(iter(moments))
    n_failures = run_to_success(scripts, world, memory, is_limited=is_limited)
    again = [name for name in world.started if name.endswith("/2")]
    broken = {name for name in world.started if failing.get(name) == "broken"}
    ended = {name.partition("/")[0] for name, reason in failing.items() if reason == "budget"}
    assert {name.removesuffix("/2") for name in again} <= {name for name in world.started if name in failing}
    unended = {name for name in broken if name.partition("/")[0] not in ended}
    assert unended <= {name.removesuffix("/2") for name in again}
    assert n_failures <= len(broken)
    assert not [name for name in world.started if name.endswith("/3")]
    assert len({*world.started}) == len(world.started)


def test_a_step_that_is_shared_is_started_once_and_noted_for_each_arm():
    world, memory = World({}), Memory(iter(()))
    run([[[(["evaluate"], True), (["train"], False)]]] * 3, world, memory, is_limited=False)
    assert world.started == ["arm0/0/evaluate 0.0", *(f"arm{number}/0/train 1.0" for number in range(3))]
    assert {*world.noted} == {f"arm{n}/0/{step}" for n in range(3) for step in ("evaluate 0.0", "train 1.0")}


def test_what_may_spend_is_done_for_one_arm_at_a_time_where_there_is_a_limit():
    script: Sequence[Sequence[Line]] = [[(["annotate"], False), (["train"], False)]]
    for is_limited, together in ((True, 1), (False, 2)):
        memory = Memory(iter(()))
        run([script] * 2, World({}), memory, is_limited=is_limited)
        names = [name for name, _ in memory.rows]
        first_wait = names.index("arm0/0/wait annotate 0.0")
        assert sum("start annotate" in name for name in names[:first_wait]) == together


def test_an_arm_that_the_budget_ends_lets_the_others_go_on():
    world, memory = World({"arm0/0/annotate 0.0": "budget"}), Memory(iter(()))
    run([[[(["annotate"], False), (["train"], False)]]] * 2, world, memory, is_limited=False)
    assert world.started == ["arm0/0/annotate 0.0", "arm1/0/annotate 0.0", "arm1/0/train 1.0"]
    assert json.loads(memory.rows[-1][1])["value"] is None


@pytest.mark.parametrize("place", range(2))
def test_a_failure_ends_the_run_once_what_is_at_work_has_ended(place):
    world, memory = World({f"arm{place}/0/train 0.0": "broken"}), Memory(iter(()))
    run([[[(["train"], True)]]] * 2, world, memory, is_limited=False)
    names = [name for name, _ in memory.rows]
    assert names == [f"arm{n}/0/{verb} train 0.0" for verb in ("start", "wait") for n in range(2)] + [
        "-/0/publish_report"
    ]
