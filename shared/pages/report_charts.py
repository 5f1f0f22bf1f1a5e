"""The charts of a run, made from its `report.json` and from nothing else, so that report and console show the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from markupsafe import Markup

from shared.pages import words
from shared.pages.cells import Cell, Part, heat_map, shares
from shared.pages.charts import Line, Point, Role, curve

Json = dict[str, Any]
#: The strategy of an arm that the others are compared with.
RANDOM = "random"
#: A heat map shows so many columns, those of the most questions; the table behind it has all.
MOST_COLUMNS = 24
_ROUTES: dict[str, tuple[str, str, Literal["good", "ours", "attention"]]] = {
    "self": ("the model itself", "it was sure and agreed with the oracle", "good"),
    "reference": ("the oracle", "the model was unsure", "ours"),
    "expert": ("an expert", "the model was sure and disagreed, or its reply could not be used", "attention"),
    "review": ("an expert", "in the first round experts see everything", "attention"),
}
#: Routes on which each error was corrected; on the others an audit estimates what is left.
_CORRECTED = frozenset({"expert", "review"})


def accuracy_curve(report: Json, split: str) -> Markup:
    """Accuracy against answers bought, a line an arm; empty where nothing was scored."""
    lines = [
        Line(arm_name(name, arm), role_of(report, name), list(_points(arm, split)))
        for name, arm in report["arms"].items()
    ]
    if not any(line.points for line in lines):
        return Markup("")
    level = report["test_set"]["guessing"] if report["test_set"] and split == "test" else None
    title = f"Accuracy on {split} against answers bought, with 95 % intervals"
    return curve(
        title, [line for line in lines if line.points], x_name="answers bought", level=level, level_name="guessing"
    )


def curve_rows(report: Json) -> list[Json]:
    """The numbers of the curves, for the tables behind them."""
    return [
        {
            "split": split,
            "arm": arm_name(name, arm),
            "round": facts["round"],
            "n_answers": facts["n_answers"],
            "score": facts[split]["perception"]["overall"],
        }
        for split in ("test", "dev")
        for name, arm in report["arms"].items()
        for facts in arm["rounds"]
        if facts[split]
    ]


def weakness_maps(report: Json, name: str, link: Callable[[Json], str] = lambda cell: "") -> list[Json]:
    """The heat maps of an arm, before and, where another model comes out, after; none before anything was measured.

    Args:
        report: `report.json`.
        name: Of the arm.
        link: Where a cell of `weakness` leads; "" nowhere.
    """
    found = report["arms"][name]["weakness"] if name else None
    if not found or not found["cells"]:
        return []
    rows = sorted({cell["modality"] for cell in found["cells"]})
    columns = _columns(found["cells"])
    moments = [("before", "before any training")] + (
        [("after", f"after {found['round']} training" + "s" * (found["round"] > 1))] if found["round"] else []
    )
    return [
        {
            "key": key,
            "caption": caption,
            "n_columns": len(columns),
            "n_left_out": len({cell["value"] for cell in found["cells"]}) - len(columns),
            "svg": heat_map(
                f"Share of the test questions answered wrongly {caption}, by modality and {words.label(found['axis'])}, in %",
                [_cell(cell, key, link(cell)) for cell in found["cells"] if cell["value"] in columns],
                [words.modality(row) for row in rows],
                [words.attribute(column) for column in columns],
            ),
        }
        for key, caption in moments
    ]


def answered(annotation: Json) -> Json:
    """Who answered in a round: the bar, and each route with what is said of it."""
    routes = [
        {**dict(zip(("name", "why", "role"), _ROUTES[route], strict=True)), "is_corrected": route in _CORRECTED, **row}
        for route, row in annotation["by_route"].items()
        if row["n"]
    ]  # fmt: skip
    routes.sort(key=lambda one: ["good", "ours", "attention"].index(one["role"]))
    parts = [Part(one["name"], one["share"], one["role"]) for one in routes]
    return {"svg": shares("Who answered, by share of the questions", parts), "routes": routes}


def arm_name(name: str, arm: Json) -> str:
    """What people call an arm."""
    return "random images" if arm["strategy"] == RANDOM else words.label(name)


def role_of(report: Json, name: str) -> Role:
    """Its colour: ours is the one that the result tells of."""
    if report["arms"][name]["strategy"] == RANDOM:
        return "random"
    return "ours" if name == report["result"]["arm"] else "other"


def _points(arm: Json, split: str) -> Iterator[Point]:
    for facts in arm["rounds"]:
        score: Json = facts[split]["perception"]["overall"] if facts[split] else {"value": None}
        if score["value"] is not None:
            yield Point(facts["n_answers"], score["value"], score["low"], score["high"])


def _columns(cells: list[Json]) -> list[str]:
    """Values of the axis: those of the most modalities first, then by name; at most `MOST_COLUMNS`, of the most questions."""
    n_questions: dict[str, int] = {}
    n_rows: dict[str, int] = {}
    for cell in cells:
        n_questions[cell["value"]] = n_questions.get(cell["value"], 0) + (cell["before"] or cell["after"])["n"]
        n_rows[cell["value"]] = n_rows.get(cell["value"], 0) + 1
    kept = sorted(n_questions, key=lambda value: (-n_questions[value], value))[:MOST_COLUMNS]
    return sorted(kept, key=lambda value: (-n_rows[value], value))


def _cell(cell: Json, key: str, href: str) -> Cell:
    estimate = cell[key]
    row, column = words.modality(cell["modality"]), words.attribute(cell["value"])
    return Cell(row, column, estimate["value"] if estimate else None, estimate["n"] if estimate else 0, href)
