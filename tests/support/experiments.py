"""Results of an experiment that never ran, with figures that a test can reckon by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from studies.experiment.results import SCHEMA, Accuracy, ArmRound, Draw, Results
from studies.experiment.settings import TINY


def arm_round(arm: str, seed: int, score: float, number: int = 1, **changes: Any) -> ArmRound:
    """A round of an arm; its test has known and left-out cells in equal parts."""
    axes = {"question_type": {"what": score}, "severity": {"mild": score, "severe": score}, "scope": {"general": score}}
    accuracy = Accuracy(
        n=100,
        unscored=0,
        overall=score,
        known=score,
        weak=None,
        left_out=score,
        pool_mix=score,
        pool_mix_covered=1.0,
        by=axes,
    )
    draw = Draw(n_images=10, n_left_out=5, n_labels=20, n_wrong=1, n_expert=4, images="0" * 16) if number else None
    values = {
        "seed": seed, "block": "primary", "pool": "pool-3", "mix": "pool-3", "enrichment": 10.0, "arm": arm,
        "strategy": arm, "against": "random", "multiple": 1.0, "budget": 2, "steps": 2, "round": number,
        "stop_reason": "rounds", "accuracy": accuracy, "draw": draw, **changes,
    }  # fmt: skip
    return ArmRound(**values)


def results_of(seed: int, scores: Mapping[str, Sequence[float]], **changes: Any) -> Results:
    """The results of a seed: arm to its accuracy after each training, from 0 on."""
    multiples = {"random_half": 0.5, "random_2x": 2.0, "random_4x": 4.0, "random_8x": 8.0, "random_16x": 16.0}
    rows = [
        arm_round(arm, seed, score, number, multiple=multiples.get(arm, 1.0))
        for arm, of_arm in scores.items()
        for number, score in enumerate(of_arm)
    ]
    values = {"block": "primary", "settings": TINY.digest, "commit": "abc", "protocol": "", "guessing": 0.36, **changes}
    return Results(schema=SCHEMA, seed=seed, rows=tuple(rows), **values)
