"""The figures of an experiment, each a pure function of numbers: differences over seeds, post-stratification, the ratio."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.isotonic import isotonic_regression

from shared.errors import InvalidArgument
from shared.statistics import Interval, t_interval

StratumT = TypeVar("StratumT", bound=Hashable)
_N_RESAMPLES = 2000


@dataclass(frozen=True)
class Ratio:
    """How many times the budget random drawing needs; infinite where even its largest budget does not suffice.

    Attributes:
        value: From the smallest to the largest budget of random drawing, in budgets of the other; or infinite.
        low, high: Its 95 % limits; None with fewer than two seeds.
        least, most: The smallest and the largest budget of random drawing.
        n: Seeds.
    """

    value: float
    low: float | None
    high: float | None
    least: float
    most: float
    n: int

    def text(self, value: float | None) -> str:
        """A value or a limit as people read it: `3.4`, `> 16` where it is not reached, `< 1` below one, `-` for none.

        Where the smallest budget is enough, less may be too: `≤ 1`.
        """
        if value is None:
            return "-"
        if np.isinf(value):
            return f"> {self.most:g}"
        if value < 1:
            return "< 1"
        return f"≤ {value:g}" if value == self.least else f"{value:.1f}"

    @property
    def limits(self) -> str:
        """`[2.1, > 16]`; "" where there are none."""
        return "" if self.low is None else f"[{self.text(self.low)}, {self.text(self.high)}]"

    def __str__(self) -> str:
        """`3.4 [2.1, > 16]`."""
        return f"{self.text(self.value)} {self.limits}".rstrip()


def paired_difference(ours: Mapping[int, float], other: Mapping[int, float]) -> Interval:
    """The mean of ours minus the other over the seeds that have both, with Student's t interval."""
    return t_interval([ours[seed] - other[seed] for seed in sorted(ours.keys() & other.keys())])


def post_stratified(
    right: Mapping[StratumT, tuple[int, int]], images: Mapping[StratumT, int]
) -> tuple[float | None, float]:
    """Accuracy on the mix of a pool: that of each stratum of test, weighted by the stratum's share of the pool's images.

    Every image has as many questions, so shares of images are those of questions. Strata that test does not have are left
    out, and the weights of the others are divided by what they sum to.

    Args:
        right: Stratum to right answers and answers on test.
        images: Stratum to images in the pool.

    Returns: The accuracy, None where the two have no stratum in common, and the share of the pool's images in such strata.
    Source: the post-stratified estimator, Holt & Smith 1979; with known inclusion probabilities that of Horvitz & Thompson 1952
        in its ratio form.
    """
    common = sorted((one for one in images if right.get(one, (0, 0))[1]), key=str)
    weight = sum(images[one] for one in common)
    if not weight:
        return None, 0.0
    value = sum(images[one] * right[one][0] / right[one][1] for one in common) / weight
    return float(value), weight / sum(images.values())


def budget_ratio(
    multiples: Sequence[float],
    random: ArrayLike,
    ours: ArrayLike,
    rng: np.random.Generator,
    n_resamples: int = _N_RESAMPLES,
) -> Ratio:
    """The smallest budget at which random drawing reaches the score of another strategy.

    Its scores, averaged over seeds, are made monotone over the budgets by isotonic regression; between two budgets the curve
    is linear in the logarithm of the budget. The limits are percentiles over draws of seeds with replacement, each with all
    of its scores.

    Args:
        multiples: (n_budgets,) increasing, above 0.
        random: (n_seeds, n_budgets) its scores.
        ours: (n_seeds,) scores of the other, of the same seeds.
        rng: Draws the seeds.
        n_resamples: At least 1.

    Raises:
        InvalidArgument: The shapes do not fit, or there is no seed.
    """
    x, scores, reached = np.log2(multiples), np.asarray(random, dtype=np.float64), np.asarray(ours, dtype=np.float64)
    if scores.ndim != 2 or scores.shape != (len(reached), len(x)) or not len(reached):
        remedy = "Give a row for each seed and a column for each budget."
        raise InvalidArgument("Scores and budgets do not fit.", field="random", value=scores.shape, remedy=remedy)
    value = _crossing(x, scores.mean(axis=0), float(reached.mean()))
    low = high = None
    if len(reached) > 1:
        drawn = rng.integers(0, len(reached), size=(n_resamples, len(reached)))
        values = [_crossing(x, scores[seeds].mean(axis=0), float(reached[seeds].mean())) for seeds in drawn]
        low, high = (
            float(one) for one in np.quantile(values, [0.025, 0.975], method="inverted_cdf")
        )  # inf has no mean
    return Ratio(value, low, high, float(multiples[0]), float(multiples[-1]), len(reached))


def _crossing(x: NDArray[np.float64], scores: NDArray[np.float64], target: float) -> float:
    """2 to the place where the monotone curve reaches the target; infinite where it does not, the first budget at the least."""
    curve = isotonic_regression(scores)
    reached = np.flatnonzero(curve >= target)
    if not len(reached):
        return float("inf")
    place = int(reached[0])
    if place == 0:
        return float(2 ** x[0])
    low, high = curve[place - 1], curve[place]
    return float(2 ** (x[place - 1] + (target - low) / (high - low) * (x[place] - x[place - 1])))
