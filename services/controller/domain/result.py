"""The result of a run in one sentence: what the model that comes out is worth, and what random images would have given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from shared.pages.report_charts import RANDOM
from shared.pages.words import NO_GAIN, count, holds_zero, limits, percent, points
from shared.stop_reasons import told

Json = dict[str, Any]


@dataclass(frozen=True)
class Baseline:
    """What random images gave after as many trainings.

    Attributes:
        arm: Its name.
        n_answers: Answers that its model had been trained on, at most.
        accuracy: Score on test.
        over: How far the result is above it, on the same questions; None where that is not known.
    """

    arm: str
    n_answers: int
    accuracy: Json
    over: Json | None


@dataclass(frozen=True)
class Result:
    """What the sentence is made of.

    Attributes:
        arm: The arm that is told of: the first one that does not draw at random; "" without arms.
        is_random: It does all the same.
        round: Of the model that comes out, so far; 0 is the base model.
        n_trainings: Rounds that were trained and evaluated.
        n_answers: Answers bought before that model, or in all where the base model comes out.
        accuracy, base: Scores on test of that model and of the base model; None where there is none.
        gain: Between them, on the same questions; None for the base model.
        has_random: There is a random arm beside it.
        baseline: Its result after as many trainings, of several such arms that with most nearly as many answers; None where it
            has none.
        stop_reason: Why the arm stopped; None while it is at work, or where it failed.
        conditions: On what it was measured, where a part of that is simulated; "" where nothing is.
    """

    arm: str = ""
    is_random: bool = False
    round: int = 0
    n_trainings: int = 0
    n_answers: int = 0
    accuracy: Json | None = None
    base: Json | None = None
    gain: Json | None = None
    has_random: bool = False
    baseline: Baseline | None = None
    stop_reason: str | None = None
    conditions: str = ""


def result_of(arms: Mapping[str, Json], comparisons: Sequence[Json], conditions: str = "") -> Json:
    """The block `result` of the report.

    Args:
        arms: The block `arms`.
        comparisons: The block `comparisons`.
        conditions: On what was measured (`services.controller.domain.annotators.conditions_of`).

    Returns: The fields of `Result`, and `text`, the sentence.
    """
    result = replace(_result(arms, comparisons), conditions=conditions)
    return {**asdict(result), "text": sentence(result)}


def sentence(result: Result) -> str:
    """The result in words; a gain whose interval holds zero is never told as one."""
    if result.accuracy is None or result.accuracy["value"] is None:
        said = ["Nothing has been measured on the test questions."]
    else:
        measured = f"Measured {result.conditions}." if result.conditions else ""
        said = [_told_of_model(result), _told_of_random(result), measured]
    if result.stop_reason is None:
        said.append("The run has not come to its end.")
    return " ".join(part for part in said if part)


def _told_of_model(result: Result) -> str:
    assert result.accuracy is not None
    now = f"right on {percent(result.accuracy['value'])} of the test questions"
    if not result.n_trainings:
        ended = f" Nothing was trained: {told(result.stop_reason)}." if result.stop_reason else ""
        return f"Before any training the model is {now}.{ended}"
    answers = f"{count(result.n_answers)} new answers"
    if result.round == 0:
        return f"{answers} did not make the model better on the development questions, so the base model comes out: it is {now}."
    base = percent(result.base["value"] if result.base else None)
    if not result.gain or result.gain["low"] is None:
        change = f"from {base} before; no interval says whether that is a gain"
    elif holds_zero(result.gain):
        change = f"from {base} before, {_with_limits(result.gain)}: {NO_GAIN}"
    else:
        change = f"{'up' if result.gain['low'] > 0 else 'down'} from {base}, {_with_limits(result.gain)}"
    return f"After {answers} the model is {now}, {change}."


def _told_of_random(result: Result) -> str:
    if result.is_random:
        return "Its images were drawn at random."
    if not result.has_random:
        return "No random arm was run to compare with."
    if not result.round:
        return ""
    if result.baseline is None:
        return "The random arm has no result after as many trainings."
    over, n_answers = result.baseline.over, result.baseline.n_answers
    answers = "As many answers" if n_answers == result.n_answers else f"{count(n_answers)} answers"
    gave = f"{answers} about random images gave {percent(result.baseline.accuracy['value'])}"
    if over is None or over["low"] is None:
        return f"{gave}; no interval says whether the two differ."
    apart = f"the difference is {_with_limits(over)}"
    if holds_zero(over):
        return f"{gave}: {apart}, not told apart from none."
    return f"{gave}{', which is more' if over['low'] < 0 else ''}: {apart}."


def _with_limits(gain: Json) -> str:
    return f"{points(gain['value'])} points {limits(gain)}"


def _result(arms: Mapping[str, Json], comparisons: Sequence[Json]) -> Result:
    name = next((name for name, arm in arms.items() if arm["strategy"] != RANDOM), next(iter(arms), ""))
    if not name:
        return Result()
    arm = arms[name]
    tests = {facts["round"]: facts["test"]["perception"]["overall"] for facts in arm["rounds"] if facts["test"]}
    number, newest = arm["promoted"]["round"] if arm["promoted"] else 0, max(tests, default=0)
    answers = {facts["round"]: facts["n_answers"] for facts in arm["rounds"]}
    gains = {facts["round"]: facts["test_gain"]["over_base"] for facts in arm["rounds"] if facts["test_gain"]}
    others = [other for other in arms if other != name and arms[other]["strategy"] == RANDOM]
    return Result(
        arm=name,
        is_random=arm["strategy"] == RANDOM,
        round=number,
        n_trainings=newest,
        n_answers=answers.get(number or newest, 0),
        accuracy=tests.get(number),
        base=tests.get(0),
        gain=gains.get(number),
        has_random=bool(others),
        baseline=_baseline(name, _nearest(name, others, arms, number), arms, number, comparisons) if others else None,
        stop_reason=arm["stop_reason"],
    )


def _nearest(name: str, others: Sequence[str], arms: Mapping[str, Json], number: int) -> str:
    """Of these arms the one that had bought most nearly as many answers at this round; the first of equal ones."""

    def bought(arm: str) -> int:
        return sum(facts["n_answers"] for facts in arms[arm]["rounds"] if facts["round"] == number)

    return min(others, key=lambda other: abs(bought(other) - bought(name)))


def _baseline(
    name: str, other: str, arms: Mapping[str, Json], number: int, comparisons: Sequence[Json]
) -> Baseline | None:
    facts = next((facts for facts in arms[other]["rounds"] if facts["round"] == number), None)
    scores = facts["test"]["perception"]["overall"] if facts and facts["test"] else None
    if not facts or not number or scores is None or scores["value"] is None:
        return None
    over = None
    for one in comparisons:
        if one["round"] == number and (one["arm"], one["other"]) == (name, other):
            over = one["gain"]
        elif one["round"] == number and (one["arm"], one["other"]) == (other, name):
            over = _turned(one["gain"])
    return Baseline(other, facts["n_answers"], scores, over)


def _turned(gain: Json) -> Json:
    """The same difference, looked at from the other side."""
    value, low, high = (None if gain[key] is None else -gain[key] for key in ("value", "high", "low"))
    return {**gain, "value": value, "low": low, "high": high}
