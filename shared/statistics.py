"""Intervals and agreement: every number the product reports carries its uncertainty from here.

It knows nothing of models, rounds or files. The unit that is resampled is the *source* (patient, phantom seed,
acquisition), because items that share a source are not independent. Generators are passed in; nothing is seeded here.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from shared.errors import InvalidArgument

#: Below so many sources an interval says little, and whoever shows it says so.
FEW_SOURCES = 10
#: From so many sources on the bootstrap keeps its word; below, its intervals are too narrow (`studies/stop_rule.py`).
BOOTSTRAP_SOURCES = 50
_CELLS_PER_BLOCK = 2_000_000  # drawn source indices held at once: 16 MB


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence limits.

    Attributes:
        value: The estimate; None where there is nothing to estimate from (n = 0).
        low: Lower limit, None where no interval exists.
        high: Upper limit, None where no interval exists.
        n: How many items the estimate stands on.
        n_sources: How many sources these come from; None where the values have none.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    n_sources: int | None = None


def bootstrap_mean(
    values: ArrayLike,
    sources: Sequence[Hashable],
    rng: np.random.Generator,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """The mean over items with an interval that takes sources, not items, as independent.

    From 50 sources on, the percentile bootstrap: a resample draws as many sources as there are, with replacement, and
    takes every item of each; its mean is the sum over the drawn items divided by their number. Below, Student's t on the
    jackknife over sources (for values that are bool Wilson's form of it, which stays within 0..1), because the bootstrap
    is too narrow there. One source says nothing about others, so it has a value and no interval.

    Args:
        values: (n,) finite numbers; bool counts as 0 and 1.
        sources: (n,) the source of each item.
        rng: Draws the resamples; the result does not depend on the order of the items.
        n_resamples: At least 1.
        confidence: Strictly between 0 and 1.

    Returns: The interval, n = number of items; no limits with one source; all None with n = 0 when there are no items.
    Raises: InvalidArgument: lengths differ, a value is not finite, or a parameter is out of range.
    Cost: O(n + n_resamples * sources) time, 32 MB at most beside the input.
    Source: Davison & Hinkley 1997, section 3.8 (resampling whole clusters); Wilson 1927; degrees of freedom by Kish 1965.
    """
    is_share = np.asarray(values).dtype == np.bool_
    x = _finite_vector(values, "values")
    if len(sources) != len(x):
        raise InvalidArgument("Each value needs one source.", field="sources", value=len(sources))
    _check_resampling(n_resamples, confidence)
    if len(x) == 0:
        return Interval(None, None, None, 0, 0)
    sums, counts = _per_source(x, sources)
    value = float(sums.sum() / counts.sum())
    if len(sums) == 1:
        return Interval(value, None, None, len(x), 1)
    if len(sums) < BOOTSTRAP_SOURCES:
        low, high = _few_source_limits(sums, counts, confidence, is_share)
    else:
        tail = (1 - confidence) / 2
        low, high = np.quantile(_resampled_means(sums, counts, rng, n_resamples), [tail, 1 - tail])
    return Interval(value, float(low), float(high), len(x), len(sums))


def paired_bootstrap(
    before: ArrayLike,
    after: ArrayLike,
    sources: Sequence[Hashable],
    rng: np.random.Generator,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """The mean gain `after - before` on the same items, resampled by source.

    Args:
        before: (n,) score of each item before.
        after: (n,) score of the same items, in the same order, after.
        sources: (n,) the source of each item.
        rng: As for `bootstrap_mean`.
        n_resamples: As for `bootstrap_mean`.
        confidence: As for `bootstrap_mean`.

    Returns: The interval of the gain; all None with n = 0 when there are no items.
    Raises: InvalidArgument: the two do not pair up, or as for `bootstrap_mean`.
    """
    first, second = _finite_vector(before, "before"), _finite_vector(after, "after")
    if len(first) != len(second):
        raise InvalidArgument("Paired scores must be of the same items.", field="after", value=len(second))
    return bootstrap_mean(second - first, sources, rng, n_resamples=n_resamples, confidence=confidence)


def t_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """The mean of independent values with Student's t interval, as for a few seeds of one experiment.

    Args:
        values: (n,) finite numbers.
        confidence: Strictly between 0 and 1.

    Returns: mean -/+ t(n-1) * s / sqrt(n); with one value no limits, with none no value.
    Raises: InvalidArgument: a value is not finite or the confidence is out of range.
    """
    x = _finite_vector(values, "values")
    _check_resampling(1, confidence)
    if len(x) < 2:
        return Interval(float(x[0]) if len(x) else None, None, None, len(x))
    mean = float(x.mean())
    half = float(stats.t.ppf((1 + confidence) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return Interval(mean, mean - half, mean + half, len(x))


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's kappa of two raters over the same items: (observed - expected) / (1 - expected) agreement.

    Args:
        first: (n,) label of each item by the first rater.
        second: (n,) label of the same items by the second rater.

    Returns: -1 <= kappa <= 1; None where it is undefined (no items, or both raters always gave the same label).
    Raises: InvalidArgument: the lengths differ.
    """
    _check_pairs(first, second)
    numbers: dict[Hashable, int] = {}
    a = np.array([numbers.setdefault(label, len(numbers)) for label in first], dtype=np.int64)
    b = np.array([numbers.setdefault(label, len(numbers)) for label in second], dtype=np.int64)
    if len(a) == 0:
        return None
    share_a, share_b = (np.bincount(x, minlength=len(numbers)) / len(x) for x in (a, b))
    expected = float(share_a @ share_b)
    if np.isclose(expected, 1.0, rtol=0, atol=1e-12):
        return None
    return (float((a == b).mean()) - expected) / (1 - expected)


def quadratic_kappa(first: Sequence[int], second: Sequence[int]) -> float | None:
    """Cohen's kappa with quadratic weights for ordered levels (0, 1, 2, ...).

    The weighted disagreement is the mean of (a - b)^2.
    By chance it would be var(a) + var(b) + (mean(a) - mean(b))^2.

    Args:
        first: (n,) level of each item by the first rater.
        second: (n,) level of the same items by the second rater.

    Returns: kappa <= 1; None where it is undefined (no items, or both raters always gave the same one level).
    Raises: InvalidArgument: the lengths differ.
    Source: Cohen 1968; the closed form is that of the quadratic case.
    """
    _check_pairs(first, second)
    a, b = _finite_vector(first, "first"), _finite_vector(second, "second")
    if len(a) == 0:
        return None
    by_chance = float(a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    if by_chance == 0:
        return None
    return 1 - float(((a - b) ** 2).mean()) / by_chance


def _finite_vector(values: ArrayLike, field: str) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1:
        raise InvalidArgument("One number per item is needed.", field=field, value=x.shape)
    if not np.isfinite(x).all():
        raise InvalidArgument("Every number must be finite.", field=field, remedy="Leave out what has no score.")
    return x


def _check_resampling(n_resamples: int, confidence: float) -> None:
    if n_resamples < 1:
        raise InvalidArgument("At least one resample is needed.", field="n_resamples", value=n_resamples)
    if not 0 < confidence < 1:
        raise InvalidArgument("Confidence lies between 0 and 1.", field="confidence", value=confidence)


def _check_pairs(first: Sequence[Hashable], second: Sequence[Hashable]) -> None:
    if len(first) != len(second):
        raise InvalidArgument("Both raters must rate the same items.", field="second", value=len(second))


def _per_source(x: NDArray[np.float64], sources: Sequence[Hashable]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and count per source, sorted, so that the order of the items does not matter."""
    rank = {source: i for i, source in enumerate(sorted(set(sources), key=str))}
    index = np.array([rank[source] for source in sources], dtype=np.int64)
    order = np.lexsort((x, index))
    sums = np.bincount(index[order], weights=x[order], minlength=len(rank)).astype(np.float64)
    return sums, np.bincount(index, minlength=len(rank)).astype(np.float64)


def _few_source_limits(
    sums: NDArray[np.float64], counts: NDArray[np.float64], confidence: float, is_share: bool
) -> tuple[float, float]:
    """Limits by the variance of the jackknife over sources and Student's t; unequal sources have fewer degrees of freedom."""
    n, n_sources = counts.sum(), len(sums)
    mean = float(sums.sum() / n)
    without = (sums.sum() - sums) / (n - counts)  # the mean without each source
    variance = float((n_sources - 1) / n_sources * ((without - mean) ** 2).sum())
    freedom = max(float(n**2 / (counts @ counts)) - 1, 1.0)
    t = float(stats.t.ppf((1 + confidence) / 2, freedom))
    if not is_share:
        return mean - t * variance**0.5, mean + t * variance**0.5
    spread = mean * (1 - mean)
    effect = max(variance * float(n) / spread, 1.0) if spread > 0 else 1.0
    ratio = t**2 * effect / float(n)
    middle, half = mean + ratio / 2, (ratio * (spread + ratio / 4)) ** 0.5
    low, high = (middle - half) / (1 + ratio), (middle + half) / (1 + ratio)
    return max(min(low, mean), 0.0), min(max(high, mean), 1.0)  # rounding must not put the mean outside


def _resampled_means(
    sums: NDArray[np.float64], counts: NDArray[np.float64], rng: np.random.Generator, n_resamples: int
) -> NDArray[np.float64]:
    """(n_resamples,) means, drawn in blocks so that memory stays bounded."""
    n_sources = len(sums)
    rows = max(1, _CELLS_PER_BLOCK // n_sources)
    means = []
    for start in range(0, n_resamples, rows):
        size = (min(rows, n_resamples - start), n_sources)
        drawn = rng.integers(0, n_sources, size=size)
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    return np.concatenate(means)
