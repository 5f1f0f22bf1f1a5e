"""The rounds of all arms beside each other, as texts for a table: how failures became training data, and who annotated."""

from __future__ import annotations

from typing import Any

from shared.pages.report_charts import arm_name
from shared.pages.words import NOTHING, count, interval, percent

Json = dict[str, Any]


def rounds_beside(report: Json) -> list[Json]:
    """Each round in which something was looked for, round by round, the arm of the result first."""
    names = sorted(report["arms"], key=lambda name: name != report["result"]["arm"])
    found = [
        {"title": arm_name(name, report["arms"][name]), "round": facts["round"], **_texts(facts, report["arms"][name])}
        for name in names
        for facts in report["arms"][name]["rounds"]
        if facts["failures"] or facts["selection"]
    ]
    return sorted(found, key=lambda one: int(one["round"]))


def _texts(facts: Json, arm: Json) -> Json:
    failures, selection, dataset = facts["failures"], facts["selection"], facts["dataset"]
    rich = selection["richness"]["weak"] if selection and selection["richness"] else None
    later = [one["test"] for one in arm["rounds"] if one["round"] == facts["round"] + 1 and one["test"]]
    return {
        "failures": f"{count(failures['n_failures'])} of {count(failures['n_items'])}" if failures else NOTHING,
        "prototypes": count(failures["n_prototypes"]) if failures else NOTHING,
        "drawn": count(selection["selected"]) if selection else NOTHING,
        "weak": f"{percent(rich['drawn_share'])} (pool {percent(rich['pool_share'])})" if rich else NOTHING,
        "new": _counted(dataset, "n_new"),
        "replay": _counted(dataset, "n_replay"),
        "after": interval(later[0]["perception"]["overall"]) if later else NOTHING,
        **_annotation(facts["annotation"]),
    }


def _counted(dataset: Json | None, name: str) -> str:
    return count(dataset[name]) if dataset and name in dataset else NOTHING


def _annotation(annotation: Json | None) -> Json:
    if annotation is None:
        return {"is_annotated": False, "n_decisions": NOTHING}
    actions, routes = annotation["actions"], annotation["by_route"]
    reviewed = sum(actions.values())

    def of_reviewed(action: str) -> str:
        return percent(actions.get(action, 0) / reviewed) if reviewed else NOTHING

    return {
        "is_annotated": True,
        "n_decisions": count(annotation["n_decisions"]),
        "review_share": percent(annotation["review_share"]),
        "agreement": percent(annotation["agreement"]),
        **{action: of_reviewed(action) for action in ("accept", "edit", "reject")},
        **{route: percent(routes[route]["share"]) if route in routes else NOTHING for route in ("self", "reference", "expert")},
        "residual": interval(annotation["residual_error"]),
    }  # fmt: skip
