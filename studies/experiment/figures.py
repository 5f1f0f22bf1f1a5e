"""The charts of an experiment's page, made from its summary alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from shared.pages.charts import Line, Point, Role, curve
from shared.pages.words import attribute, label
from studies.experiment.blocks import MULTIPLES, OURS, RANDOM, budget_name

Json = dict[str, Any]
#: Arms whose rounds are drawn, where they were run; more lines could not be told apart.
_ROUNDS_OF = (OURS, RANDOM, "random_16x")


def budget_figure(pool: Json) -> Markup:
    """Accuracy against the budget in doublings, and the score of the tested strategy that random drawing has to reach."""
    arms = {arm["name"]: arm for arm in pool["arms"]}
    lines = [line for strategy in (OURS, RANDOM) if (line := _line_of(arms, strategy))]
    if not any(len(line.points) > 1 for line in lines):
        return Markup("")
    ours = arms[OURS]["accuracy"]["overall"]["value"] if OURS in arms else None
    return curve(
        "Accuracy on test after the last round against the budget, with 95 % intervals over seeds",
        lines,
        x_name=f"images a round, in budgets of {label(OURS)}",
        x_text=_budget_text,
        level=ours,
        level_name="to be reached",
    )


def rounds_figure(pool: Json) -> Markup:
    """Accuracy after each round of the main arms."""
    arms = [arm for arm in pool["arms"] if arm["name"] in _ROUNDS_OF]
    lines = [
        Line(label(arm["name"]), _role(arm["name"]), [_point(one["round"], one["overall"]) for one in arm["rounds"]])
        for arm in arms
    ]
    if not any(len(line.points) > 1 for line in lines):
        return Markup("")
    level = pool["base"]["overall"]["value"]
    title = "Accuracy on test after each round, with 95 % intervals over seeds"
    return curve(title, lines, x_name="trainings", level=level, level_name="base model")


def axis_figure(pool: Json, axis: str, strategy: str) -> Markup:
    """Accuracy of a strategy against the budget, a line for each value of an axis."""
    arms = {arm["name"]: arm for arm in pool["arms"]}
    names = [(one, budget_name(strategy, one)) for one in MULTIPLES if budget_name(strategy, one) in arms]
    values = sorted({value for _, name in names for value in arms[name]["by"].get(axis, {})})
    if len(names) < 2 or not values:
        return Markup("")
    lines = [
        Line(
            attribute(value),
            "other",
            [
                _point(_place(one), arms[name]["by"][axis][value])
                for one, name in names
                if value in arms[name]["by"][axis]
            ],
        )
        for value in values
    ]
    title = f"Accuracy of {label(strategy)} by {label(axis)} against the budget, with 95 % intervals over seeds"
    return curve(
        title, lines, x_name="images a round, in budgets", x_text=_budget_text, level=0.0, level_name="none right"
    )


def budget_rows(pool: Json) -> Sequence[Json]:
    """The arms of the figure of budgets, for the table behind it."""
    shown = {budget_name(strategy, one) for strategy in (OURS, RANDOM) for one in MULTIPLES}
    return [arm for arm in pool["arms"] if arm["name"] in shown]


def _line_of(arms: Json, strategy: str) -> Line | None:
    found = [(one, arms[name]) for one in MULTIPLES if (name := budget_name(strategy, one)) in arms]
    points = [_point(_place(one), arm["accuracy"]["overall"]) for one, arm in found]
    return Line(label(strategy), _role(strategy), points) if points else None


def _place(multiple: float) -> float:
    """Doublings from the smallest budget on."""
    return math.log2(multiple / MULTIPLES[0])


def _budget_text(place: float) -> str:
    return f"{MULTIPLES[0] * 2**place:g}"


def _point(x: float, estimate: Json) -> Point:
    return Point(x, estimate["value"] or 0.0, estimate["low"], estimate["high"])


def _role(name: str) -> Role:
    return "ours" if name == OURS else "random" if name == RANDOM else "other"
