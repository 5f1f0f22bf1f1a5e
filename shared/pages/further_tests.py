"""Which models a report tells of on its further tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.pages.report_charts import arm_name

Json = dict[str, Any]


def models_of(test: Json, arms: Mapping[str, Json]) -> list[tuple[str, Json]]:
    """The models of a further test that are told: the base model, and what comes out of each arm.

    Args:
        test: An element of the block `further_tests` of the report.
        arms: The block `arms` of the report.

    Returns: The name of each, with its round, scores and gain; an arm of which the base model comes out is left out.
    """
    base = next((facts for rounds in test["arms"].values() for facts in rounds[:1]), None)
    final = [
        (f"{arm_name(name, arms[name])}, round {facts['round']}", facts)
        for name, rounds in test["arms"].items()
        for facts in rounds
        if facts["round"] and arms[name]["promoted"] and facts["round"] == arms[name]["promoted"]["round"]
    ]
    return [("base model", base), *final] if base else final
