"""Where a run stands, in words: its state, its six steps, how far the step at work is and how long it may still take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import grpc

from medq.controller.v1.controller_pb2 import Run
from medq.operations.v1.operations_pb2 import OPERATION_STATE_RUNNING, GetOperationRequest, Operation
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from shared.errors import MedqError
from shared.pages.words import count, duration, label
from shared.stop_reasons import told
from web.calls import Services

#: The steps of a round: what people call one, what one says of a run at it, and the lines of the loop that it is made of.
STEPS = (
    ("evaluate", "evaluating", ("evaluate_dev", "evaluate_test", "evaluate_further", "decide")),
    ("mine failures", "mining failures", ("mine_failures",)),
    ("select", "selecting images", ("ask_about_pool", "select_samples")),
    ("annotate", "annotating", ("annotate",)),
    ("build", "building the training set", ("build_dataset",)),
    ("train", "training", ("train", "complete")),
)
#: States of a run, in words and with the colour that they have.
_STATES = {
    "pending": ("waits to begin", "plain"),
    "running": ("at work", "ours"),
    "waiting": ("waits for people", "attention"),
    "paused": ("paused", "attention"),
    "succeeded": ("done", "good"),
    "failed": ("failed", "weak"),
    "cancelled": ("called off", "plain"),
    "stopped": ("no process works on it", "weak"),
}
_AT_WORK = frozenset({"pending", "running", "waiting", "paused"})
#: How long the services may take to tell how far their steps are, in seconds; a page waits for no more.
_PROGRESS_SECONDS = 1.0


@dataclass(frozen=True)
class Step:
    """One of the six steps.

    Attributes:
        name: What people call it.
        state: "done", "present", "coming", or "unneeded" where the run ended without it in its last round.
        took: How long it was at work in this round; "" where that is not known.
    """

    name: str
    state: str
    took: str


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    Attributes:
        run: As the controller tells it.
        state, colour: Its state in words, and the colour of its badge.
        is_at_work: It has not ended.
        place: Arm and round; "" before the first.
        steps: The six, in their order.
        took: How long those that are done were at work together; "" where that is not known.
        progress: How far the present step is: `212 of 450 questions`; "" where that is not known.
        time_left: Of the present step: `about 18 min`; "" where that is not known.
        reason: Why it ended or stopped, in words; "" before.
        started: When it was first started, in UTC.
    """

    run: Run
    state: str
    colour: str
    is_at_work: bool
    place: str
    steps: Sequence[Step]
    took: str
    progress: str
    time_left: str
    reason: str
    started: str


def standings(services: Services, runs: Sequence[Run]) -> list[Standing]:
    """Where runs stand; the services of those at work are asked all at once how far they are."""
    asked = [_ask(services, run) for run in runs]
    return [_standing(run, _answer(call)) for run, call in zip(runs, asked, strict=True)]


def _ask(services: Services, run: Run) -> Any:
    """The call to the service of a run's step, a future; None where there is nothing to ask."""
    if run.state != "running" or not run.operation_id:
        return None
    try:
        stub = services.stub(run.service, OperationsServiceStub)
    except MedqError:  # these pages do not know the service; progress alone is not worth an end
        return None
    request = GetOperationRequest(operation_id=run.operation_id)
    return stub.GetOperation.future(request, timeout=_PROGRESS_SECONDS, wait_for_ready=False)


def _answer(call: Any) -> Operation:
    """The operation; empty where its service does not answer, or does not know it yet."""
    try:
        return Operation() if call is None else call.result().operation
    except (grpc.RpcError, MedqError):
        return Operation()


def _standing(run: Run, operation: Operation) -> Standing:
    state, colour = _STATES.get(run.state, (label(run.state), "plain"))
    present = next((place for place, (_, _, lines) in enumerate(STEPS) if _line_of(run.step) in lines), -1)
    if run.state == "running":
        state = STEPS[present][1] if present >= 0 else "preparing its data" if run.step else "starting"
    seconds = [seconds_of(run, lines) for _, _, lines in STEPS]
    known = [one for one in seconds if one is not None]
    is_at_work = run.state in _AT_WORK
    if is_at_work and run.is_pause_asked and run.state != "paused":
        state += ", pauses after this step"
    has_round = bool(run.arm) and run.arm != "-"
    return Standing(
        run,
        state,
        colour,
        is_at_work,
        f"{label(run.arm)}, round {run.round}" if has_round else "",
        [
            Step(name, _state_of(place, present, run.state, one, bool(known)), "" if one is None else duration(one))
            for place, ((name, _, _), one) in enumerate(zip(STEPS, seconds, strict=True))
        ],
        duration(sum(known)) if known else "",
        _progress(operation),
        time_left(operation),
        "" if is_at_work else _reason(run.message),
        f"{run.create_time.ToDatetime(UTC):%-d %B %Y, %H:%M} UTC",
    )


def seconds_of(run: Run, lines: Sequence[str]) -> float | None:
    """How long some lines of the loop were at work in the round that is at work; None where that is not known.

    What went on at the same time, as the shards of an evaluation do, counts once.
    """
    spans = sorted(
        (one.begin_time.ToNanoseconds(), one.end_time.ToNanoseconds())
        for one in run.step_times
        if _line_of(one.step) in lines
    )
    total, covered = 0, 0
    for begin, end in spans:
        total += max(0, end - max(begin, covered))
        covered = max(covered, end)
    return total / 1e9 if spans else None


def _line_of(step: str) -> str:
    """The line of the loop that a step is of; behind the dot stands its further test or its shard."""
    return step.partition(".")[0]


def _state_of(place: int, present: int, state: str, seconds: float | None, is_timed: bool) -> str:
    if state == "succeeded" and is_timed and seconds is None:
        return "unneeded"
    if state == "succeeded" or place < present:
        return "done"
    return "present" if place == present and state in ("running", "waiting") else "coming"


def _progress(operation: Operation) -> str:
    progress = operation.progress
    if not progress.total:
        return progress.message
    return f"{count(progress.done)} of {count(progress.total)} {progress.unit}"


def time_left(operation: Operation) -> str:
    """How long an operation may still take if it goes on as it went: `about 18 min`; "" where that is not known."""
    progress = operation.progress
    if operation.state != OPERATION_STATE_RUNNING or not 0 < progress.done < progress.total:
        return ""
    began, now = operation.create_time.ToDatetime(UTC), operation.update_time.ToDatetime(UTC)
    seconds = (now - began).total_seconds() / progress.done * (progress.total - progress.done)
    if seconds < 90:
        return "about a minute"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def _reason(message: str) -> str:
    """Why a run ended: the reasons of its arms, `arm: plateau; other: rounds`, in words; a failure as it stands."""
    parts = [part.partition(": ") for part in message.split("; ")]
    if all(told(reason) != reason for _, _, reason in parts):
        return "; ".join(f"{label(arm)}: {told(reason)}" for arm, _, reason in parts)
    return message
