"""The entropy threshold that keeps errors among adopted annotations below a target, fitted on reviewed samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from shared.errors import InvalidArgument


@dataclass(frozen=True)
class Calibration:
    """A fitted threshold and what it stands on.

    Attributes:
        tau_entropy: tau_H: a model's annotation is adopted where its entropy is strictly below. 0 adopts none.
        n_reviewed: Reviewed samples.
        n_adopted: Those below the threshold.
        n_wrong: Those of them that the expert found wrong.
        upper_error_rate: Upper confidence limit of the error rate of what is adopted; None where nothing is.
    """

    tau_entropy: float
    n_reviewed: int
    n_adopted: int
    n_wrong: int
    upper_error_rate: float | None


def calibrate_entropy_threshold(
    entropies: ArrayLike, was_wrong: ArrayLike, *, target_error_rate: float, confidence: float = 0.95
) -> Calibration:
    """The largest tau_H at which the error rate of what would be adopted is still known to be below the target.

    For each threshold between two distinct entropies the samples below it are counted, and the one-sided Clopper-Pearson upper
    limit of their error rate is compared with the target. Pass only samples that would be adopted but for their
    entropy (those that agree with the reference), or the rate is of something else. The limit is not corrected for the
    number of thresholds looked at: check what was adopted with a random audit.

    Args:
        entropies: (n,) H^traj of reviewed samples, at least 0.
        was_wrong: (n,) whether the expert found the model's annotation wrong.
        target_error_rate: In (0, 1).
        confidence: Of the upper limit, in (0, 1).

    Returns: The threshold, midway to the next entropy; infinite where even all samples meet the target; 0 where no
        threshold meets it, as with too few samples (at 5 % and 95 %, fewer than 59 without an error).
    Raises: InvalidArgument: lengths or numbers out of range.
    Cost: O(n log n).   Source: Clopper & Pearson 1934.
    """
    h, wrong = np.asarray(entropies, dtype=np.float64), np.asarray(was_wrong, dtype=bool)
    if h.ndim != 1 or h.shape != wrong.shape:
        raise InvalidArgument(
            "Each reviewed sample has an entropy and an outcome.", field="was_wrong", value=wrong.shape
        )
    if np.isnan(h).any() or (h < 0).any():
        raise InvalidArgument("An entropy is at least 0.", field="entropies")
    for field, value in (("target_error_rate", target_error_rate), ("confidence", confidence)):
        if not 0 < value < 1:
            raise InvalidArgument("A share between 0 and 1 is needed.", field=field, value=value)
    order = np.argsort(h, kind="stable")
    sorted_h = h[order]
    adopted = np.arange(1, len(h) + 1)
    n_wrong = np.cumsum(wrong[order])
    upper = _upper_limits(n_wrong, adopted, confidence)
    is_cut = np.append(sorted_h[1:] > sorted_h[:-1], True)[: len(h)]
    allowed = np.flatnonzero(is_cut & (upper <= target_error_rate))
    if len(allowed) == 0:
        return Calibration(0.0, len(h), 0, 0, None)
    last = int(allowed[-1])
    tau = float("inf")
    if last + 1 < len(h):
        tau = float(max(sorted_h[last : last + 2].mean(), np.nextafter(sorted_h[last], np.inf)))
    return Calibration(tau, len(h), last + 1, int(n_wrong[last]), float(upper[last]))


def _upper_limits(n_wrong: NDArray[np.int64], n: NDArray[np.int64], confidence: float) -> NDArray[np.float64]:
    """The one-sided Clopper-Pearson upper limits of n_wrong / n; 1 where all are wrong."""
    limits = np.ones(len(n))
    right = n_wrong < n
    limits[right] = stats.beta.ppf(confidence, n_wrong[right] + 1, n[right] - n_wrong[right])
    return limits
