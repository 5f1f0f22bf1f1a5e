"""How small a gain a set of development items can show. It knows variances and sizes, no models."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from services.controller.domain.plateau import ONE_SIDE
from shared.statistics import FEW_SOURCES, Interval

#: Before a gain is measured: the variance of an item's change that is more than chance (ten items of a hundred turn over) ...
ASSUMED_CHANGE = 0.10
#: ... that of one answer drawn at temperature 1, averaged over items, twice in a difference ...
ASSUMED_NOISE = 0.12
#: ... and how alike the changes of two items of one source are.
ASSUMED_CORRELATION = 0.10
#: So many standard errors lie between no gain and what must be excluded, beside the limit: 1 - (1 - Phi(0.132))^2 = 0.8.
_STOPS_WITHIN_TWO = 0.1324


def expected_detectable_gain(sizes: Sequence[float], n_runs: int) -> float | None:
    """The smallest gain that a set of items can tell from none, before anything is measured.

    Items change with variance `ASSUMED_CHANGE + 2 * ASSUMED_NOISE / n_runs`, correlated within a source by `ASSUMED_CORRELATION`.

    Args:
        sizes: Items of each source, each at least 1.
        n_runs: Answers per item, at least 1.

    Returns: The gain, in the unit of the scores: as the `excluded_gain` of `is_plateau` it is missed in at most 5 % of rounds,
        while an arm that gains nothing stops within two rounds in 80 %. None with fewer than two sources.
    """
    if len(sizes) < 2:
        return None
    counts = np.asarray(sizes, dtype=np.float64)
    n = counts.sum()
    effect = 1 + (counts @ counts / n - 1) * ASSUMED_CORRELATION
    error = float(np.sqrt((ASSUMED_CHANGE + 2 * ASSUMED_NOISE / n_runs) * effect / n))
    t = float(stats.t.ppf(0.975, len(sizes) - 1))
    return (ONE_SIDE * t + _STOPS_WITHIN_TWO) * error


def detection_note(sizes: Sequence[float], n_runs: int, excluded_gain: float) -> str:
    """The same in words, for the person who starts the run.

    Args:
        sizes: As for `expected_detectable_gain`.
        n_runs: Likewise.
        excluded_gain: The gain that the stop rule must not miss.
    """
    gain = expected_detectable_gain(sizes, n_runs)
    text = f"The dev set has {round(sum(sizes))} items of {len(sizes)} sources, {n_runs} answers each."
    if gain is None:
        return f"{text} One source says nothing about others: no gain can be told from chance, and no plateau will be seen."
    text += f" It can tell a gain of about {100 * gain:.1f} points a round from none."
    if gain > excluded_gain:
        text += (
            f" That is more than the {100 * excluded_gain:.1f} points of stop.excluded_gain: an arm that gains nothing may "
            "go on to its last round. More sources help most."
        )
    if len(sizes) < FEW_SOURCES:
        text += f" Fewer than {FEW_SOURCES} sources: every interval is wide and rests on few patients or acquisitions."
    return text


def measured_detectable_gain(gain: Interval) -> float | None:
    """The same, from the interval of a gain that was measured; None where it has no limits."""
    if gain.value is None or gain.low is None or gain.high is None:
        return None
    error = (gain.high - gain.low) / (2 * float(stats.norm.ppf(0.975)))
    return ONE_SIDE * (gain.high - gain.value) + _STOPS_WITHIN_TWO * error


def within_source_correlation(values: ArrayLike, sources: Sequence[Hashable]) -> float | None:
    """How alike the values of one source are: the intraclass correlation of a one-way analysis of variance.

    Args:
        values: (n,) finite numbers.
        sources: (n,) the source of each.

    Returns: -1 <= correlation <= 1; None with one source, one item per source, or values that do not vary.
    Source: Donner 1986.
    """
    x = np.asarray(values, dtype=np.float64)
    _, index, counts = np.unique(np.array([str(source) for source in sources]), return_inverse=True, return_counts=True)
    n, n_sources = len(x), len(counts)
    if n_sources < 2 or n_sources == n:
        return None
    means = np.bincount(index, weights=x) / counts
    between = float(counts @ (means - x.mean()) ** 2) / (n_sources - 1)
    within = float(((x - means[index]) ** 2).sum()) / (n - n_sources)
    size = (n - float(counts @ counts) / n) / (n_sources - 1)
    total = between + (size - 1) * within
    return (between - within) / total if total > 0 else None
