"""Which round of an arm is its best so far: what later rounds must not fall behind, and the model that comes out at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.rows.evaluation import Scores


@dataclass(frozen=True)
class Best:
    """The rounds that a later round is compared with.

    Attributes:
        overall: The round with the highest accuracy.
        by_modality: Modality to the round that was best at it.
    """

    overall: int
    by_modality: Mapping[str, int]


def best_rounds(promoted: Mapping[int, Scores]) -> Best:
    """The best of the promoted rounds, overall and in each modality.

    A modality has its own best: else five rounds that each win elsewhere could each take a little from it.

    Args:
        promoted: Round to its scores on dev, of the promoted rounds alone; at least one.

    Returns: The rounds; of equal ones the earliest, and one without a value is behind all that have one.
    """
    accuracies: dict[str, dict[int, float]] = {"": {}}
    for number, scores in sorted(promoted.items()):
        named = {"": scores.perception.overall, **scores.perception.by_modality}
        for name, score in named.items():
            accuracies.setdefault(name, {})[number] = -1.0 if score.value is None else score.value
    best = {name: max(values, key=values.__getitem__) for name, values in sorted(accuracies.items())}
    return Best(best.pop(""), best)
