"""The page of a report: one HTML file that needs nothing beside it. It shows what `report.json` says and invents nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment

from services.controller.report.beside import columns, maps_beside, panels, table_one
from services.controller.report.pictures import Pictures
from services.controller.report.rounds_beside import rounds_beside
from shared.objects.store import ObjectStore
from shared.pages.environment import page_environment
from shared.pages.further_tests import models_of
from shared.pages.report_charts import accuracy_curve, answered, arm_name, curve_rows
from shared.pages.words import label, whole_percent
from shared.statistics import BOOTSTRAP_SOURCES
from shared.stop_reasons import told
from shared.version import VERSION

Json = dict[str, Any]
_PROTOTYPES_PER_ROUND = 6
_IMAGES_PER_PROTOTYPE = 4
_SEARCHES_SHOWN, _LATER_SEARCHES_SHOWN = 4, 2
_ROUNDS_SHOWN = 3
_UNSCORED_SHOWN = 50
#: Why an image was not drawn, by what the selection calls it; a leak has its own kinds.
_REASONS = {
    "no_contrast": "not nearer to failures than to images that never failed",
    "no_entropy": "the model's answers about them have no usable log-probabilities",
    "not_asked": "the model was not asked about them",
    "not_similar": "not near enough to a prototype",
    "used_before": "drawn in an earlier round",
}
_JOINS = re.compile(r"(?<=\d) (?=%|points)|(?<=\d,) (?=[−\d.]+\])")
_LEAK = re.compile(r"leak(?:_|: )(.+)")
_ROUTES = {
    "self": "the model's: it is sure and agrees with the oracle",
    "reference": "the oracle's: the model is unsure",
    "expert": "the expert's: the model is sure and disagrees, or its reply cannot be used",
    "review": "the expert's: in the first round experts see all",
}


def render(report: Json, objects: ObjectStore) -> str:
    """The page.

    Args:
        report: `report.json`.
        objects: Where its images lie; of one that is not there, or has no room, the page says so.
    """
    main = report["result"]["arm"]
    rounds = report["arms"][main]["rounds"] if main else []
    examples = report["side_by_side"]["examples"] if report["side_by_side"] else []
    return _environment().get_template("report.html").render(
        report=report,
        main=report["arms"][main] if main else None,
        figure=accuracy_curve(report, "test"),
        dev_figure=accuracy_curve(report, "dev"),
        curve_rows=curve_rows(report),
        bought=_bought(rounds),
        table_one=table_one(report),
        beside=columns(report),
        examples=examples,
        panels=panels(report),
        rounds_beside=rounds_beside(report),
        maps=maps_beside(report),
        searched=[facts for facts in rounds if facts["selection"] and facts["selection"]["searches"]],
        annotated=[(one["round"], answered(one["annotation"]), one["annotation"]) for one in rounds if one["annotation"]],
        spent=_spent(report["measured"]["ledger"] if report["measured"] else {}),
        spent_by_arm=_spent_by_arm(report),
        expert_time=_expert_time(report),
        settings=list(_flat(report["config"])),
        pictures=Pictures(objects, [one["image_id"] for one in examples]),
        described=_described(report),
        unscored=_unscored(report),
        n_unscored=_UNSCORED_SHOWN,
        n_prototypes=_PROTOTYPES_PER_ROUND,
        n_images=_IMAGES_PER_PROTOTYPE,
        n_searches=_SEARCHES_SHOWN,
        n_later_searches=_LATER_SEARCHES_SHOWN,
        n_answered=_ROUNDS_SHOWN,
        route_words=_ROUTES,
        further_tests=[(test, models_of(test, report["arms"])) for test in report["further_tests"]],
        enough_sources=BOOTSTRAP_SOURCES,
        version=VERSION,
        created=_day(report["measured"]["create_time"]) if report["measured"] else "",
    )  # fmt: skip


@cache
def _environment() -> Environment:
    """Made once: its templates stay compiled."""
    environment = page_environment("services.controller.report")
    environment.filters.update(
        unbroken=_unbroken, gained=_gained, came_out=_came_out, place=_place, reason=_reason, why=told
    )
    return environment


def _unbroken(text: str) -> str:
    """A text in which a number keeps its unit, and an interval its two limits, on one line."""
    return _JOINS.sub("\u00a0", text)


def _day(moment: str) -> str:
    """A day as people write it: `21 November 2026`."""
    return f"{datetime.fromisoformat(moment):%-d %B %Y}"


def _bought(rounds: list[Json]) -> Json:
    """What an arm bought: answers, images, and how much of that an expert saw, in all and by round."""
    bought = [facts for facts in rounds if facts["annotation"]]
    n_answers = [facts["annotation"]["n_decisions"] for facts in bought]
    seen = [facts["annotation"]["review_share"] for facts in bought]
    n_seen = sum(n * (share or 0.0) for n, share in zip(n_answers, seen, strict=True))
    by_round = [f"{whole_percent(share)} of round {facts['round']}" for facts, share in zip(bought, seen, strict=True)]
    return {
        "n_answers": sum(n_answers),
        "n_images": sum(facts["selection"]["selected"] for facts in bought if facts["selection"]),
        "n_rounds": len(bought),
        "expert_share": n_seen / sum(n_answers) if sum(n_answers) else None,
        "expert_note": ", ".join(by_round) or "nothing was asked yet",
    }


def _spent_by_arm(report: Json) -> list[tuple[str, Json]]:
    """What each arm cost, where there are several."""
    ledgers = report["measured"].get("ledger_by_arm", {}) if report["measured"] else {}
    arms = report["arms"]
    return [(arm_name(name, arms[name]), _spent(ledgers[name])) for name in arms if name in ledgers and len(arms) > 1]


def _expert_time(report: Json) -> list[tuple[str, list[Json | None]]]:
    """What experts worked for each arm, round by round; None where an arm had ended."""
    times = report["measured"].get("expert_time_by_round", {}) if report["measured"] else {}
    most = max((len(rounds) for rounds in times.values()), default=0)
    arms = report["arms"]
    return [
        (arm_name(name, arms[name]), [*times[name], *[None] * (most - len(times[name]))])
        for name in arms
        if name in times
    ]


def _spent(ledger: Json) -> Json:
    """What was spent, what may have been included, and whether a part of that is simulated."""
    states = ledger.get("total", {})
    counted = [sums for state, sums in states.items() if state != "released"]
    figures = ("usd", "expert_seconds", "compute_seconds")
    return {
        **{name: sum(sums[name] for sums in counted) for name in figures},
        "is_simulated": any(sums["n_simulated"] for sums in counted),
        "is_at_most": any(sums["n_usage_unstated"] for sums in counted),
    }


def _flat(settings: Json, before: str = "") -> Iterator[tuple[str, str]]:
    """Each key of the configuration with its value, the keys of sections joined by dots."""
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for place, one in enumerate(value):
                yield from _flat(one, f"{before}{key}[{place}].")
        else:
            yield f"{before}{key}", "–" if value is None else str(value)


def _unscored(report: Json) -> list[tuple[str, int, Json]]:
    """Arm, round and item of each thing that could not be evaluated."""
    rounds = [(name, facts) for name, arm in report["arms"].items() for facts in arm["rounds"]]
    return [(name, facts["round"], one) for name, facts in rounds for one in facts["unscored"]]


def _described(report: Json) -> list[tuple[str, int, str, Json]]:
    """Arm, round, split and scores of each evaluation in which something was described."""
    rounds = [(name, facts) for name, arm in report["arms"].items() for facts in arm["rounds"]]
    return [
        (name, facts["round"], split, facts[split]["description"])
        for name, facts in rounds
        for split in ("test", "dev")
        if facts[split] and facts[split]["description"]
    ]


def _gained(arm: Json) -> Json | None:
    """What the model that comes out of an arm gained on test over the base model; None for the base model itself."""
    number = arm["promoted"]["round"] if arm["promoted"] else 0
    gains = (facts["test_gain"] for facts in arm["rounds"] if facts["round"] == number and facts["test_gain"])
    return next((gain["over_base"] for gain in gains), None)


def _came_out(promoted: Json | None) -> str:
    if promoted is None:
        return "–"
    return f"the model of round {promoted['round']}" if promoted["round"] else "the base model"


def _reason(name: str) -> str:
    """Why something was left out on purpose, in words for people."""
    leak = _LEAK.fullmatch(name)
    return f"too close to dev or test: {label(leak[1])}" if leak else _REASONS.get(name, label(name))


def _place(entry: Json) -> str:
    """Where something was left out: a set, or a step of a round of an arm."""
    return entry["place"] if entry["arm"] is None else f"{entry['arm']}, round {entry['round']}, {entry['place']}"
