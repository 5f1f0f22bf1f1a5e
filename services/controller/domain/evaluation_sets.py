"""How large the sets are that a model is evaluated on, and what such sets can tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.controller.domain.detection import detection_note, expected_detectable_gain
from services.controller.domain.round_facts import ArmFacts
from shared.rows.benchmark import Item

Json = dict[str, Any]


def dev_set_of(configuration: Json, arms: Sequence[ArmFacts]) -> Json | None:
    """How large the dev set is and which gain it can be expected to tell; None before the base model is evaluated."""
    evaluated = next((facts.dev for arm in arms for facts in arm.rounds if facts.dev is not None), None)
    if evaluated is None or not evaluated.perception.overall.n_sources:
        return None
    n_runs, n_sources = configuration["evaluate"]["runs"], evaluated.perception.overall.n_sources
    n_items = round(evaluated.perception.overall.n / n_runs)
    sizes = [n_items / n_sources] * n_sources
    return {
        "n_items": n_items,
        "n_sources": n_sources,
        "n_runs": n_runs,
        "expected_detectable_gain": expected_detectable_gain(sizes, n_runs),
        "note": detection_note(sizes, n_runs, configuration["stop"]["excluded_gain"]),
    }


def test_set_of(items: Sequence[Item]) -> Json | None:
    """How large the test set is, and which share guessing gets right; None before it is brought in.

    Who guesses takes each option of a question equally often. Questions without options are not counted.
    """
    asked = [item for item in items if item.options]
    if not asked:
        return None
    return {
        "n_items": len(asked),
        "n_images": len({item.image_id for item in asked}),
        "n_sources": len({item.source_id for item in asked}),
        "guessing": sum(1 / len(item.options) for item in asked) / len(asked),
    }
