"""The audit: a random share of what no expert saw goes to review, so that the error left in the rest is measured.

Knows nothing of who reviews. The draw is keyed by the decision, so it does not depend on order or restarts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shared.errors import InvalidArgument
from shared.statistics import Interval


def is_drawn(what: str, seed: int, decision_id: str, share: float) -> bool:
    """Whether a decision belongs to a random share of all.

    Args:
        what: Names the draw: `audit`, `overlap`; draws of different names do not depend on each other.
        seed: Of the work.
        decision_id: The decision.
        share: Chance of being drawn, 0..1; 0 draws none and 1 all.

    Returns: u < share for u uniform in [0, 1), from the digest of name, seed and decision.
    Raises: InvalidArgument: the share is out of range.
    """
    if not 0 <= share <= 1:
        raise InvalidArgument("A share lies between 0 and 1.", field=f"{what}_share", value=share)
    digest = hashlib.sha256(f"{what}/{seed}/{decision_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def residual_error(was_wrong: Sequence[bool], sources: Sequence[str], confidence: float = 0.95) -> Interval:
    """The estimated share of wrong answers in what no expert saw.

    Questions about one image, or one patient, are not independent: who misjudges it errs in several. So the interval counts n*
    independent answers in place of n. n* follows from how much the errors differ between sources; where there is no
    error, or nothing else, they cannot tell, and each source counts as one answer.

    Args:
        was_wrong: (n,) whether the expert edited or rejected an audited answer.
        sources: (n,) the source of its image.
        confidence: Strictly between 0 and 1.

    Returns: The share with its interval, n the number of answers; all None where nothing was audited. It takes the
        expert as right; where experts err, it measures disagreement with them.
    Raises: InvalidArgument: lengths differ.
    Source: Korn & Graubard 1998: the exact (Clopper-Pearson) limits at n* = p (1 - p) / Var(p), Var(p) between sources, with
        few sources less by the ratio of the quantiles of Student's t; never more than n.
    """
    wrong = np.asarray(was_wrong, dtype=np.float64)
    if len(sources) != len(wrong):
        raise InvalidArgument("Each answer needs one source.", field="sources", value=len(sources))
    if len(wrong) == 0:
        return Interval(None, None, None, 0)
    share = float(wrong.mean())
    n = _independent_answers(wrong, sources, confidence)
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, n * share, n * (1 - share) + 1)) if share > 0 else 0.0
    high = float(stats.beta.isf(tail, n * share + 1, n * (1 - share))) if share < 1 else 1.0
    return Interval(share, low, high, len(wrong))


def _independent_answers(wrong: NDArray[np.float64], sources: Sequence[str], confidence: float) -> float:
    """n*, how many independent answers say as much as these; at least 1 where all are alike."""
    _, source = np.unique(np.asarray(sources), return_inverse=True)
    n_sources, n, share = int(source.max()) + 1, len(wrong), float(wrong.mean())
    if share in (0.0, 1.0) or n_sources == 1:
        return n_sources
    deviations = np.bincount(source, weights=wrong - share)
    variance = n_sources / (n_sources - 1) * float(deviations @ deviations) / n**2
    if variance == 0:
        return n
    tail = (1 + confidence) / 2
    caution = float(stats.t.ppf(tail, n - 1) / stats.t.ppf(tail, n_sources - 1)) ** 2
    return min(n, share * (1 - share) / variance * caution)
