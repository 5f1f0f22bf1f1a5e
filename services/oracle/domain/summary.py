"""What a set of decisions says of itself: routes, reviews, the error left in what no expert saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from services.oracle.domain.annotation import AUDIT, REFERENCE, SELF
from services.oracle.domain.audit import residual_error


def summarise(decided: Sequence[Mapping[str, Any]], unanswered: Mapping[str, int]) -> dict[str, Any]:
    """Count decisions by route and review, and estimate the residual error by the audit.

    Args:
        decided: Rows as `annotation.decision_row` makes them, the rejected ones (answer None) among them.
        unanswered: Reason -> number of questions without an answer.

    Returns: `routes`, `expert_actions` and `unanswered` (counts), `review_share` (of the decided questions, 0..1; None
        where there are none) and `residual_error` (`value`, `low`, `high`, `n`, `n_wrong`, `population`): the share of
        audited answers that the expert did not accept, which estimates that of the `population` no expert saw.
    """
    audited = [row for row in decided if row["route"] == AUDIT]
    n_wrong = sum(row["expert_action"] != "accept" for row in audited)
    n_reviewed = sum(bool(row["expert_action"]) for row in decided)
    unseen = sum(row["route"] in (SELF, REFERENCE) for row in decided)
    return {
        "n_decided": len(decided),
        "n_decisions": sum(row["answer"] is not None for row in decided),
        "routes": dict(sorted(Counter(row["route"] for row in decided).items())),
        "expert_actions": _counts(row["expert_action"] for row in decided if row["expert_action"]),
        "review_share": n_reviewed / len(decided) if decided else None,
        "residual_error": {
            **asdict(residual_error(n_wrong, len(audited))),
            "n_wrong": n_wrong,
            "population": unseen,
        },
        "unanswered": dict(sorted(unanswered.items())),
    }


def _counts(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
