"""What descriptions score: the closing level, which runs are wrong, and the columns of Table 1. Knows no judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from services.evaluation.domain.grading import AXES, LEAST, MOST
from shared.quality_level import closing_level
from shared.rows.evaluation import Answer, Description, GradeMean, Judgement
from shared.rows.vocabulary import QUALITY_LADDER
from shared.statistics import bootstrap_mean

#: The least sum of the four grades that is not wrong, where nothing is said.
DEFAULT_PASS = 5
_HIGHEST_SUM = MOST * len(AXES)


def level_grade(level: str, reference_level: str) -> int:
    """Quality accuracy by the closing levels alone: 2 the same, 1 neighbours on the ladder, 0 two steps apart or no level."""
    if level not in QUALITY_LADDER or reference_level not in QUALITY_LADDER:
        return LEAST
    return MOST - abs(QUALITY_LADDER.index(level) - QUALITY_LADDER.index(reference_level))


def grade_sum(judgement: Judgement) -> int:
    """The sum of the four grades, 0..8."""
    return sum(getattr(judgement, axis) for axis in AXES)


def is_wrong(judgement: Judgement, pass_sum: int) -> bool:
    """Whether a run is wrong: its grades sum to less than `pass_sum`, or its quality level is two steps off."""
    return grade_sum(judgement) < pass_sum or judgement.quality_accuracy == LEAST


def description_scores(
    answers: Sequence[Answer], *, judge: str, pass_sum: int, anchors: Mapping[str, float], seed: int
) -> Description:
    """The means of the grades with intervals that resample sources; every run counts once.

    An empty description, the model's silence, has grade 0 on each axis. What we could not judge is counted and in no mean.

    Args:
        answers: To description items, of one arm, round and split.
        judge: As in the rows; "" for nobody.
        pass_sum: As for `is_wrong`.
        anchors: See `anchor_means`.
        seed: Of the resampling.
    """

    def mean(value: Callable[[Answer], int | None], most: int, own: Iterable[Answer] = answers) -> GradeMean:
        graded = [(grade, answer.source_id) for answer in own if (grade := value(answer)) is not None]
        return _mean(graded, len(list(own)) - len(graded), most, seed)

    modalities = sorted({answer.modality for answer in answers if answer.modality})
    of_modality = {name: [answer for answer in answers if answer.modality == name] for name in modalities}
    return Description(
        **{axis: mean(lambda answer, axis=axis: _grade(answer, axis), MOST) for axis in AXES},  # type: ignore[misc]
        overall=mean(_sum, _HIGHEST_SUM),
        level_accuracy=mean(_level_grade, MOST),
        by_modality={name: mean(_sum, _HIGHEST_SUM, own) for name, own in of_modality.items()},
        judge=judge,
        pass_sum=pass_sum,
        anchors=dict(anchors),
    )


def _grade(answer: Answer, axis: str) -> int | None:
    if not answer.evaluated:
        return None
    return LEAST if answer.judgement is None else int(getattr(answer.judgement, axis))


def _sum(answer: Answer) -> int | None:
    if not answer.evaluated:
        return None
    return LEAST if answer.judgement is None else grade_sum(answer.judgement)


def _level_grade(answer: Answer) -> int | None:
    """None where the image was lost, so that there is no reply, or where the reference names no level."""
    reference_level = closing_level(answer.gold)
    has_reply = answer.evaluated or bool(answer.answer)
    return level_grade(answer.level, reference_level) if has_reply and reference_level else None


def _mean(graded: Sequence[tuple[int, str]], unscored: int, most: int, seed: int) -> GradeMean:
    """The mean; limits of few sources are cut to the scale."""
    grades = [float(grade) for grade, _ in graded]
    interval = bootstrap_mean(grades, [source for _, source in graded], np.random.default_rng(seed))
    return GradeMean(
        value=interval.value,
        low=None if interval.low is None else max(interval.low, float(LEAST)),
        high=None if interval.high is None else min(interval.high, float(most)),
        n=interval.n,
        unscored=unscored,
        n_sources=interval.n_sources,
    )
