"""What one evaluation gained over another: the same items before and after, resampled by source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
class _Item:
    score: float
    source: str
    modality: str


def paired_gains(before: Sequence[Answer], after: Sequence[Answer], *, seed: int) -> Gains:
    """Gains in accuracy between two evaluations of the same benchmark; descriptions have grades, and are left out.

    An item's score is the share of its evaluated answers that are right; a reply that cannot be read is wrong. An item of which
    we could evaluate fewer than half of the runs, before or after, is UNSCORED and in no gain.

    Args:
        before: Every answer of the earlier model.
        after: Likewise, of the later model.
        seed: Of the resampling; the same for every modality.

    Returns: The gains, 95 % intervals; modalities sorted by name.
    """
    first, second = _items(before), _items(after)
    both = sorted(first.keys() & second.keys())
    modalities = sorted({item.modality for item in first.values()})
    return Gains(
        _gain(first, second, both, seed),
        {
            name: _gain(first, second, [item for item in both if first[item].modality == name], seed)
            for name in modalities
        },
        within_source_correlation(
            [second[item].score - first[item].score for item in both], [second[item].source for item in both]
        ),
    )


def _gain(first: Mapping[str, _Item], second: Mapping[str, _Item], items: Sequence[str], seed: int) -> Interval:
    return paired_bootstrap(
        [first[item].score for item in items],
        [second[item].score for item in items],
        [second[item].source for item in items],
        np.random.default_rng(seed),
    )


def _items(answers: Sequence[Answer]) -> dict[str, _Item]:
    by_item: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer.question_type == DESCRIPTION:
            continue
        by_item.setdefault(answer.item_id, []).append(answer)
    found = {}
    for item_id, own in by_item.items():
        right = [answer.correct is True for answer in own if answer.evaluated]
        if right and 2 * len(right) >= len(own):
            found[item_id] = _Item(sum(right) / len(right), own[0].source_id, own[0].modality)
    return found
