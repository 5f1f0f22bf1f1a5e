"""Will it stop? The last decision of an arm with the numbers that it rests on, in sentences."""

from __future__ import annotations

from typing import Any

from shared.pages.words import label, limits, modality, points
from shared.stop_reasons import told
from web.console.costs import share_of_budget

Json = dict[str, Any]
_VERDICTS = {
    "worthwhile": "more than the {least} that is worth another round",
    "plateau": "too little to be worth another round, and a gain of {missed} is excluded",
    "unclear": "too little to be worth another round, but this dev set cannot exclude a gain of {missed}",
}


def will_it_stop(report: Json, name: str) -> list[str]:
    """What has been decided about an arm, and what that rests on: two short paragraphs.

    Args:
        report: `report.json`, as far as the run has come.
        name: The arm.
    """
    arm, stop = report["arms"][name], report["config"]["stop"]
    decided = next((facts for facts in reversed(arm["rounds"]) if facts["decision"] is not None), None)
    budget = share_of_budget(report)
    if arm["stop_reason"] is not None:
        first = [f"It has stopped: {told(arm['stop_reason'])}."] + ([_gain(decided, stop)] if decided else [])
        return [" ".join(first), " ".join(([_lost(decided, stop)] if decided else []) + [budget])]
    if decided is None:
        return ["Nothing is decided yet: the base model is being measured.", f"{_rule(stop)} {budget}"]
    return [f"Not yet. {_gain(decided, stop)}", f"{_lost(decided, stop)} {_rule(stop)} {budget}"]


def _gain(facts: Json, stop: Json) -> str:
    decision = facts["decision"]
    if decision["gain"] is None:
        return "Only the base model has been measured, which no round can be compared with."
    verdict = _VERDICTS[decision["verdict"]].format(
        least=_points(stop["min_gain"]), missed=_points(stop["excluded_gain"])
    )
    gain = f"{points(decision['gain']['value'])} points {limits(decision['gain'])}".strip()
    return f"Round {facts['round']} gained {gain} on dev over the round before: {verdict}."


def _lost(facts: Json, stop: Json) -> str:
    """What got worse by more than it may."""
    lost = facts["decision"]["regressions"]
    if not lost:
        allowed = f"{_points(stop['modality_allowance'])} ({_points(stop['overall_allowance'])} over all)"
        return f"No modality lost more than the {allowed} that are allowed."
    parts = [
        f"{modality(one['modality'])} {'is not measured any more' if one['loss'] is None else 'lost ' + _points(one['loss'])}"
        for one in lost
    ]
    return f"The round is not taken: {', '.join(parts)}."


def _rule(stop: Json) -> str:
    rounds = "one round" if stop["patience"] == 1 else f"{stop['patience']} rounds in a row"
    return (
        f"It stops after {rounds} without a worthwhile gain, after a loss that is not allowed, "
        "or when its rounds or its budget are used up."
    )


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def heading(name: str, report: Json) -> str:
    """The name of an arm as a heading; "" where there is only one."""
    return label(name) if len(report["arms"]) > 1 else ""
