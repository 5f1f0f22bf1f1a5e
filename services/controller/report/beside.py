"""The arms beside each other, as the page shows them: Table 1's rows, panels of accuracy, and maps of weakness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.pages import words
from shared.pages.charts import Point, Role
from shared.pages.dots import Dot, Group, dots
from shared.pages.report_charts import arm_name, role_of, weakness_maps

Json = dict[str, Any]
BASE = "base model"
_PANELS = {
    "modality": "Modality",
    "severity": "Severity of the degradation",
    "scope": "General or modality-specific",
    "slice": "Slices of the test set",
}
#: The slices of a study, and what they are together.
_STUDIED, _STUDY = {"known", "weak", "left_out", "clean"}, "What the base model was taught, and what it never saw"
_TYPES = ("yes_no", "what", "how")
#: Values that have an order of their own; others come after these, by name.
_ORDER = (*_TYPES, "none", "mild", "severe", "general", "modality_specific", "known", "weak", "left_out", "clean")
_TYPE_NAMES = {"yes_no": "Yes/No", "what": "What", "how": "How"}


def columns(report: Json) -> list[Json]:
    """The arms that are beside each other, the one of the result first: `name` in the report, `title`, `role` and `note`."""
    beside = report["side_by_side"]
    rounds = beside["rounds"] if beside else {}
    order = sorted(rounds, key=lambda name: name != report["result"]["arm"])
    return [
        {
            "name": name,
            "title": arm_name(name, report["arms"][name]),
            "role": role_of(report, name),
            "note": f"after {rounds[name]} training{'s' * (rounds[name] > 1)}",
            "facts": next(facts for facts in report["arms"][name]["rounds"] if facts["round"] == rounds[name]),
        }
        for name in order
    ]


def table_one(report: Json) -> Json | None:
    """The rows of the paper's Table 1: the base model, then each arm with what it gained; None before anything was trained."""
    beside, arms = report["side_by_side"], columns(report)
    if not beside:
        return None
    types = beside["axes"]["question_type"]
    names = _sorted(types)
    first = report["arms"][report["result"]["arm"]]["rounds"][0]
    base = {
        "title": BASE, "role": "plain", "note": "before any training", "gains": None,
        "scores": [types[name]["base"] for name in names] + [first["test"]["perception"]["overall"]],
        "described": first["test"]["description"],
    }  # fmt: skip
    return {
        "types": [(_TYPE_NAMES.get(name, words.label(name)), types[name]["base"]["n"]) for name in names],
        "n": first["test"]["perception"]["overall"]["n"],
        "rows": [base, *(_row(arm, [types[name]["arms"][arm["name"]] for name in names]) for arm in arms)],
    }


def _row(arm: Json, found: list[Json]) -> Json:
    facts = arm["facts"]
    return {
        "title": arm["title"],
        "role": "ours" if arm["role"] == "ours" else "plain",
        "note": arm["note"],
        "scores": [one["accuracy"] for one in found] + [facts["test"]["perception"]["overall"]],
        "gains": [one["gain"] for one in found] + [facts["test_gain"]["over_base"] if facts["test_gain"] else None],
        "described": facts["test"]["description"],
    }


def panels(report: Json) -> list[Json]:
    """A chart of accuracy for each axis that questions have a value on, with its figures for the table behind it."""
    axes = report["side_by_side"]["axes"] if report["side_by_side"] else {}
    return [_panel(axis, title, axes[axis], columns(report)) for axis, title in _PANELS.items() if axes.get(axis)]


def _panel(axis: str, title: str, values: Json, arms: list[Json]) -> Json:
    rows = [
        (words.modality(value) if axis == "modality" else words.attribute(value), values[value])
        for value in _sorted(values)
    ]
    groups = [Group(f"{name}, {words.count(of['base']['n'])} questions", list(_dots(of, arms))) for name, of in rows]
    said = f"Share of the test questions answered rightly, by {words.label(axis)}, with 95 % intervals, in %"
    title = _STUDY if axis == "slice" and values.keys() <= _STUDIED else title
    return {"title": title, "svg": dots(said, groups), "rows": rows}


def maps_beside(report: Json) -> list[Json]:
    """The heat maps of weakness: the base model's, then that of each arm that another model comes out of."""
    main = report["result"]["arm"]
    names = sorted(report["arms"], key=lambda name: name != main)
    found = []
    for name in names:
        arm = report["arms"][name]
        for one in weakness_maps(report, name):
            if one["key"] == "after":
                title = f"{arm_name(name, arm)}, {one['caption']}" if len(names) > 1 else one["caption"]
                found.append({**one, "caption": title, "weakness": arm["weakness"]})
            elif name == main:
                found.append({**one, "weakness": arm["weakness"]})
    return found


def _dots(figures: Json, arms: list[Json]) -> Iterator[Dot]:
    shown: list[tuple[str, Role, Json]] = [(BASE, "other", figures["base"])]
    shown += [(arm["title"], arm["role"], figures["arms"][arm["name"]]["accuracy"]) for arm in arms]
    for name, role, score in shown:
        if score["value"] is not None:
            yield Dot(name, role, Point(0, score["value"], score["low"], score["high"]))


def _sorted(values: Json) -> list[str]:
    return sorted(values, key=lambda value: (_ORDER.index(value) if value in _ORDER else len(_ORDER), value))
