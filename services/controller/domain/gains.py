"""What one evaluation gained over another: the same items before and after, resampled by source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.controller.domain.detection import within_source_correlation
from shared.rows.evaluation import Answer
from shared.rows.vocabulary import DESCRIPTION
from shared.statistics import Interval, paired_bootstrap


@dataclass(frozen=True)
class Gains:
    """Paired gains of a round over the one before it, in the unit of the scores (-1..1).

    Attributes:
        overall: Of all items.
        by_modality: Of each modality that was evaluated before; one without a value is not evaluated any more.
        correlation: How alike the changes of items of one source are; None where the items cannot show it.
    """

    overall: Interval
    by_modality: Mapping[str, Interval]
    correlation: float | None = None


@dataclass(frozen=True)
class ItemScore:
    """What an item got: the share of its evaluated answers that are right, 0 to 1; its source and modality."""

    score: float
    source: str
    modality: str


#: By item id.
ItemScores = Mapping[str, ItemScore]


def paired_gains(before: Sequence[Answer], after: Sequence[Answer], *, seed: int) -> Gains:
    """Gains in accuracy between two evaluations of the same benchmark, by items as `item_scores` has them.

    Args:
        before: Every answer of the earlier model.
        after: Likewise, of the later model.
        seed: Of the resampling; the same for every modality.

    Returns: The gains, 95 % intervals; modalities sorted by name.
    """
    first, second = item_scores(before), item_scores(after)
    both = sorted(first.keys() & second.keys())
    return Gains(
        accuracy_gain(first, second, seed=seed),
        {
            name: accuracy_gain(_of(first, name), second, seed=seed)
            for name in sorted({item.modality for item in first.values()})
        },
        within_source_correlation(
            [second[item].score - first[item].score for item in both], [second[item].source for item in both]
        ),
    )


def accuracy_gain(before: ItemScores, after: ItemScores, *, seed: int) -> Interval:
    """The gain in accuracy of the items that both have; a 95 % interval that resamples their sources by `seed`."""
    items = sorted(before.keys() & after.keys())
    return paired_bootstrap(
        [before[item].score for item in items],
        [after[item].score for item in items],
        [after[item].source for item in items],
        np.random.default_rng(seed),
    )


def item_scores(answers: Iterable[Answer]) -> dict[str, ItemScore]:
    """The score of each item; descriptions have grades, and are left out.

    A reply that cannot be read is wrong. An item of which we could evaluate fewer than half of the runs is UNSCORED, and
    not among them.
    """
    by_item: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer.question_type != DESCRIPTION:
            by_item.setdefault(answer.item_id, []).append(answer)
    found = {}
    for item_id, own in by_item.items():
        right = [answer.correct is True for answer in own if answer.evaluated]
        if right and 2 * len(right) >= len(own):
            found[item_id] = ItemScore(sum(right) / len(right), own[0].source_id, own[0].modality)
    return found


def _of(scores: ItemScores, modality: str) -> ItemScores:
    return {item_id: item for item_id, item in scores.items() if item.modality == modality}
