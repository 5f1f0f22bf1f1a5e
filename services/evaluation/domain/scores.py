"""From answer rows to scores with intervals. It knows the fields of `answers.jsonl`, not who wrote them.

An accuracy is right answers / scored answers (every scored run counts once; with all R runs scored this is the mean of
the items' means). Its interval resamples sources, so the R runs of one item never pass for independent evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.evaluation.domain.capabilities import AXES
from services.evaluation.domain.scoring import official_choice
from shared.statistics import bootstrap_mean

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Score:
    """An accuracy.

    Attributes:
        value: Right / scored answers in [0, 1]; None where nothing was scored.
        low: Lower limit of the 95 % interval by source.
        high: Upper limit of the 95 % interval by source.
        n: Scored answers.
        unscored: Answers that are neither right nor wrong.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int


@dataclass(frozen=True)
class PerceptionScores:
    """The scores of one model on multiple-choice items.

    Attributes:
        overall: All answers.
        by_axis: Axis (`modality`, `question_type`, `attribute`, `severity`, `scope`) to value to score; answers without
            a value on an axis are in no group of it.
        official: As the published evaluator reads the same replies, where an unreadable reply is wrong.
        extractor_agreement: Share of answers on which both readings take the same option (or both none).
    """

    overall: Score
    by_axis: dict[str, dict[str, Score]]
    official: Score
    extractor_agreement: Score


def accuracy(rows: Sequence[Row], *, seed: int, n_resamples: int = 2000) -> Score:
    """The accuracy over answer rows.

    Args:
        rows: With `scored` (bool), `correct` (bool, read where scored) and `source_id`.
        seed: Of the resampling; the same rows and seed give the same interval whatever else is scored.
        n_resamples: As for `bootstrap_mean`.

    Returns: The score; its value is None without scored rows.
    """
    scored = [row for row in rows if row["scored"]]
    return _score(
        [bool(row["correct"]) for row in scored], scored, len(rows) - len(scored), seed, n_resamples
    )


def perception_scores(
    rows: Sequence[Row], options: Mapping[str, Mapping[str, str]], *, seed: int, n_resamples: int = 2000
) -> PerceptionScores:
    """The scores overall, on every axis, and by the published reading.

    Args:
        rows: Rows of `answers.jsonl` of one arm, round and split; `choice` is the strict reading.
        options: Item id to its options, for the published reading.
        seed: Of the resampling.
        n_resamples: As for `bootstrap_mean`.

    Returns: The scores; groups sorted by value.
    Raises: KeyError: an item has no options, or a row lacks a field.
    """
    groups: dict[str, dict[str, list[Row]]] = {axis: {} for axis in AXES}
    for row in rows:
        for axis in AXES:
            if row[axis]:
                groups[axis].setdefault(row[axis], []).append(row)
    official = [official_choice(row["answer"], options[row["item_id"]]) for row in rows]
    right = [letter == row["gold"] for letter, row in zip(official, rows, strict=True)]
    same = [letter == row["choice"] for letter, row in zip(official, rows, strict=True)]
    return PerceptionScores(
        overall=accuracy(rows, seed=seed, n_resamples=n_resamples),
        by_axis={
            axis: {
                value: accuracy(group, seed=seed, n_resamples=n_resamples)
                for value, group in sorted(of.items())
            }
            for axis, of in groups.items()
        },
        official=_score(right, rows, 0, seed, n_resamples),
        extractor_agreement=_score(same, rows, 0, seed, n_resamples),
    )


def _score(values: Sequence[bool], rows: Sequence[Row], unscored: int, seed: int, n_resamples: int) -> Score:
    sources = [str(row["source_id"]) for row in rows]
    interval = bootstrap_mean(values, sources, np.random.default_rng(seed), n_resamples=n_resamples)
    return Score(interval.value, interval.low, interval.high, interval.n, unscored)
