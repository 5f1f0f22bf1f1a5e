"""The entropy threshold that keeps errors among adopted annotations below a target, fitted on reviewed samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from services.oracle.domain.routing import TextSimilarity, agreement_description
from shared.errors import InvalidArgument
from shared.rows.annotation import Calibration, Decision, Unanswered

#: Reviews that older rounds, of older models, are added up to.
ENOUGH_REVIEWS: Final = 200


def reviews_of(
    rounds: Sequence[Sequence[Decision | Unanswered]], tau_agreement: float, tau_text: float | None = None
) -> tuple[list[float], list[bool]]:
    """What the fit of tau_H stands on: reviewed answers of the model that would be adopted but for their entropy.

    Those are the answers that agree with the reference. All of them were reviewed in a cold start; in a later round a random
    share, by the audit, so each counts once. Whole rounds are taken, the newest first, until `ENOUGH_REVIEWS` are
    together: the newest speak of a model that is nearest to the one that is routed now.

    Args:
        rounds: Decisions of the arm's earlier rounds, in their order, with the questions that the expert rejected.
        tau_agreement: tau_ann, 0..1.
        tau_text: Of descriptions, which alone count then: least similarity at which two agree, 0..1. None: of questions with
            options, which alone count then.

    Returns: (n,) entropies and (n,) whether the expert's answer is another than the model's, or none. A description is another
        where the two do not agree.
    """
    mine = [[row for row in rows if bool(row.options) == (tau_text is None)] for rows in rounds]
    similarity = TextSimilarity(text for rows in mine for row in rows for text in _texts(row))

    def is_same(row: Decision) -> bool:
        if tau_text is None or row.answer is None or row.self_answer is None:
            return row.answer == row.self_answer
        return agreement_description(row.self_answer, row.answer, similarity, tau_text=tau_text) == 1

    found: list[tuple[float, bool]] = []
    for rows in reversed(mine):
        if len(found) >= ENOUGH_REVIEWS:
            break
        found += [review for row in rows if (review := _review(row, tau_agreement, is_same))]
    return [entropy for entropy, _ in found], [was_wrong for _, was_wrong in found]


def _texts(row: Decision | Unanswered) -> list[str]:
    """The descriptions that a row holds; none of a question with options."""
    if isinstance(row, Unanswered) or row.options:
        return []
    return [text for text in (row.answer, row.self_answer, row.reference_answer) if text]


def _review(
    row: Decision | Unanswered, tau_agreement: float, is_same: Callable[[Decision], bool]
) -> tuple[float, bool] | None:
    """Entropy and outcome of an answer that could be adopted; None of another, or of one that no expert saw."""
    if row.entropy is None or row.agreement is None or row.agreement < tau_agreement:
        return None
    if isinstance(row, Unanswered):
        return row.entropy, True
    return (row.entropy, not is_same(row)) if row.expert_action else None


def calibrate_entropy_threshold(
    entropies: ArrayLike, was_wrong: ArrayLike, *, target_error_rate: float, confidence: float = 0.95
) -> Calibration:
    """The largest tau_H at which the error rate of what would be adopted is still known to be below the target.

    For each threshold between two distinct entropies the samples below it are counted, and the one-sided Clopper-Pearson upper
    limit of their error rate is compared with the target. Pass only samples that would be adopted but for their
    entropy (`reviews_of`), or the rate is of something else. The limit is corrected neither for the number of
    thresholds looked at nor for several questions about one image: the random audit checks what was adopted.

    Where no threshold meets the target, as with too few samples (fewer than 29 without an error at a target of 10 %, 59 at
    5 %), it is the one with the lowest limit, and `is_met` is false. What is adopted agrees with the reference, so a lower
    threshold would adopt the same answers as the reference's, and ask the expert about fewer of the others.

    Args:
        entropies: (n,) H^traj of reviewed samples, at least 0.
        was_wrong: (n,) whether the expert found the model's annotation wrong.
        target_error_rate: In (0, 1).
        confidence: Of the upper limit, in (0, 1).

    Returns: The threshold, midway to the next entropy; just above the largest where even all samples meet the target,
        for nothing is known beyond; 0 without samples, and where the limit is 1 everywhere.
    Raises: InvalidArgument: lengths or numbers out of range.
    Cost: O(n log n).   Source: Clopper & Pearson 1934.
    """
    h, wrong = _checked(entropies, was_wrong, target_error_rate, confidence)
    order = np.argsort(h, kind="stable")
    sorted_h = h[order]
    n_wrong = np.cumsum(wrong[order].astype(np.int64))
    upper = _upper_limits(n_wrong, np.arange(1, len(h) + 1), confidence)
    upper[: len(h) - 1][sorted_h[1:] == sorted_h[:-1]] = 1.0  # alike samples are adopted together
    allowed = np.flatnonzero(upper <= target_error_rate)
    if not len(h) or upper.min() == 1:
        return Calibration(
            tau_entropy=0.0, target_error_rate=target_error_rate, is_met=False, n_reviewed=len(h), n_adopted=0,
            n_wrong=0, upper_error_rate=None,
        )  # fmt: skip
    last = int(allowed[-1]) if len(allowed) else int(np.argmin(upper))
    tau = float(np.nextafter(sorted_h[last], np.inf))
    if last + 1 < len(h) and np.isfinite(sorted_h[last + 1]):
        tau = max(tau, float(sorted_h[last : last + 2].mean()))
    return Calibration(
        tau_entropy=tau, target_error_rate=target_error_rate, is_met=len(allowed) > 0, n_reviewed=len(h),
        n_adopted=last + 1, n_wrong=int(n_wrong[last]), upper_error_rate=float(upper[last]),
    )  # fmt: skip


def _checked(
    entropies: ArrayLike, was_wrong: ArrayLike, target_error_rate: float, confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
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
    return h, wrong


def _upper_limits(n_wrong: NDArray[np.int64], n: NDArray[np.int64], confidence: float) -> NDArray[np.float64]:
    """The one-sided Clopper-Pearson upper limits of n_wrong / n; 1 where all are wrong."""
    limits = np.ones(len(n))
    right = n_wrong < n
    limits[right] = stats.beta.ppf(confidence, n_wrong[right] + 1, n[right] - n_wrong[right])
    return limits
