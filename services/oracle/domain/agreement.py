"""How well reviewers agree who have decided about the same questions, each without the other.

A label is the text of the adopted option, or that the question was rejected: letters mean another thing in each question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.statistics import cohen_kappa

REJECTED: Final = ("rejected",)


@dataclass(frozen=True)
class Pair:
    """Two reviewers, in the order of their names.

    Attributes:
        first, second: Their names.
        n: Questions that both have decided about.
        n_same: Of these, where they agree.
        kappa: Cohen's, -1..1; None where it is undefined.
    """

    first: str
    second: str
    n: int
    n_same: int
    kappa: float | None


def pairs_of(units: Iterable[Mapping[str, Hashable]]) -> list[Pair]:
    """The agreement of each two reviewers.

    Args:
        units: For each question the label that each of its two reviewers gave.
    """
    labels: dict[tuple[str, str], list[tuple[Hashable, Hashable]]] = {}
    for unit in units:
        if len(unit) == 2:
            first, second = sorted(unit)
            labels.setdefault((first, second), []).append((unit[first], unit[second]))
    return [
        Pair(*names, len(same), sum(a == b for a, b in same), cohen_kappa([a for a, _ in same], [b for _, b in same]))
        for names, same in sorted(labels.items())
    ]


def krippendorff_alpha(units: Iterable[Sequence[Hashable]]) -> float | None:
    """Krippendorff's alpha of nominal labels: 1 - observed / expected disagreement (Krippendorff 2011, section B).

    Args:
        units: The labels of each question; one with fewer than two says nothing and is left out.

    Returns: At most 1; None where it is undefined: no question with two labels, or all labels are the same.
    """
    counts = [Counter(unit) for unit in units if len(unit) > 1]
    totals = sum(counts, Counter[Hashable]())
    n = totals.total()
    expected = n * n - sum(count * count for count in totals.values())
    if not expected:
        return None
    observed = sum(
        (unit.total() ** 2 - sum(count * count for count in unit.values())) / (unit.total() - 1) for unit in counts
    )
    return 1 - (n - 1) * observed / expected
