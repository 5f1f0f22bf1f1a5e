"""The audit: a random share of what no expert saw goes to review, so that the error left in the rest is measured.

Knows nothing of who reviews. The draw is keyed by the decision, so it does not depend on order or restarts.
"""

from __future__ import annotations

import hashlib

from scipy import stats

from shared.errors import InvalidArgument
from shared.statistics import Interval


def is_audited(seed: int, decision_id: str, share: float) -> bool:
    """Whether a decision that no expert saw goes to review.

    Args:
        seed: Of the audit.
        decision_id: The decision.
        share: Chance of being drawn, 0..1; 0 draws none and 1 all.

    Returns: u < share for u uniform in [0, 1), from the digest of seed and decision.
    Raises: InvalidArgument: the share is out of range.
    """
    if not 0 <= share <= 1:
        raise InvalidArgument("A share lies between 0 and 1.", field="audit_share", value=share)
    digest = hashlib.sha256(f"audit/{seed}/{decision_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def residual_error(n_wrong: int, n_audited: int, confidence: float = 0.95) -> Interval:
    """The estimated share of wrong answers in what no expert saw.

    Args:
        n_wrong: Audited answers that the expert edited or rejected, 0..n_audited.
        n_audited: Audited answers.
        confidence: Strictly between 0 and 1.

    Returns: The share with the exact (Clopper-Pearson) interval; all None where nothing was audited. It takes the
        answers as independent and the expert as right; where experts err, it measures disagreement with them.
    Raises: InvalidArgument: a count is out of range.
    Source: Clopper & Pearson 1934, through scipy.
    """
    if not 0 <= n_wrong <= n_audited:
        raise InvalidArgument("There are more errors than audited answers.", field="n_wrong", value=n_wrong)
    if n_audited == 0:
        return Interval(None, None, None, 0)
    limits = stats.binomtest(n_wrong, n_audited).proportion_ci(confidence, method="exact")
    return Interval(n_wrong / n_audited, float(limits.low), float(limits.high), n_audited)
