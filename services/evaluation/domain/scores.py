"""From answers to scores with intervals.

An accuracy is right answers / evaluated answers, as leaderboards have it: a reply in which no option can be read is wrong.
Beside it stand the accuracy over the readable replies, and their share. What we could not evaluate is counted and in no figure.
Every run counts once; the interval resamples sources, so the R runs of one item never pass for independent evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from services.evaluation.domain.capabilities import axes_of
from services.evaluation.domain.scoring import official_choice, strict_choice
from shared.rows.evaluation import Answer, Extractors, Perception, Score, Scores
from shared.statistics import bootstrap_mean


def accuracy(answers: Sequence[Answer], *, seed: int, n_resamples: int = 2000) -> Score:
    """The accuracy over answers.

    Args:
        answers: In any order.
        seed: Of the resampling; the same answers and seed give the same interval whatever else is scored.
        n_resamples: As for `bootstrap_mean`.

    Returns: The score; its value is None where nothing was evaluated.
    """
    evaluated = [answer for answer in answers if answer.evaluated]
    right = [answer.correct is True for answer in evaluated]
    readable = [answer.scored for answer in evaluated]
    return _score(evaluated, right, readable, len(answers) - len(evaluated), seed, n_resamples)


def perception_scores(
    answers: Sequence[Answer],
    options: Mapping[str, Mapping[str, str]],
    extractor: str,
    *,
    judge: str = "",
    n_judged: int = 0,
    seed: int,
    n_resamples: int = 2000,
) -> Scores:
    """The scores of one model on multiple-choice items: overall, on every axis, and by the published reading.

    Args:
        answers: Of one arm, round and split.
        options: Item id to its options.
        extractor: How `answers` were read.
        judge, n_judged: Who was asked what replies mean, and of how many; as they are in `Extractors`.
        seed: Of the resampling.
        n_resamples: As for `bootstrap_mean`.

    Returns: The scores; groups sorted by value, and an answer without a value on an axis in no group of it. The two
        readings agree on an answer where they take the same option, or both none.
    Raises: KeyError: an item has no options.
    """
    evaluated = [answer for answer in answers if answer.evaluated]
    official = [official_choice(answer.answer, options[answer.item_id]) for answer in evaluated]
    strict = [strict_choice(answer.answer, options[answer.item_id]) for answer in evaluated]
    right = [letter == answer.gold for letter, answer in zip(official, evaluated, strict=True)]
    readable = [letter is not None for letter in official]
    differs = [one != other for one, other in zip(official, strict, strict=True)]
    comparable, unscored = [True] * len(evaluated), len(answers) - len(evaluated)
    return Scores(
        perception=_perception(answers, seed, n_resamples),
        extractors=Extractors(
            used=extractor,
            judge=judge,
            n_judged=n_judged,
            official=_score(evaluated, right, readable, unscored, seed, n_resamples),
            disagreement=_score(evaluated, differs, comparable, unscored, seed, n_resamples),
        ),
    )


def _perception(answers: Sequence[Answer], seed: int, n_resamples: int) -> Perception:
    groups: dict[str, dict[str, list[Answer]]] = {}
    for answer in answers:
        for axis, value in axes_of(answer).items():
            if value:
                groups.setdefault(axis, {}).setdefault(value, []).append(answer)

    def by(axis: str) -> dict[str, Score]:
        found = sorted(groups.get(axis, {}).items())
        return {value: accuracy(group, seed=seed, n_resamples=n_resamples) for value, group in found}

    return Perception(
        overall=accuracy(answers, seed=seed, n_resamples=n_resamples),
        by_modality=by("modality"),
        by_question_type=by("question_type"),
        by_attribute=by("attribute"),
        by_severity=by("severity"),
        by_scope=by("scope"),
    )


def _score(
    answers: Sequence[Answer],
    counts: Sequence[bool],
    readable: Sequence[bool],
    unscored: int,
    seed: int,
    n_resamples: int,
) -> Score:
    """The share of evaluated answers that count; what counts is readable."""
    sources = [answer.source_id for answer in answers]
    interval = bootstrap_mean(counts, sources, np.random.default_rng(seed), n_resamples=n_resamples)
    n_readable = sum(readable)
    return Score(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=interval.n,
        unscored=unscored,
        scored=sum(counts) / n_readable if n_readable else None,
        coverage=n_readable / len(answers) if answers else None,
        n_sources=interval.n_sources,
    )
