"""What a set of decisions says of itself: routes, reviews, the error left in what no expert saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.oracle.domain.annotation import AUDIT
from services.oracle.domain.audit import residual_error
from services.oracle.domain.routing import REFERENCE, SELF
from shared.rows.annotation import Account, Calibration, Decision, ResidualError, Summary, Unanswered


def summarise(
    decided: Sequence[Decision],
    unanswered: Iterable[Unanswered],
    *,
    account: Mapping[str, Account],
    stopped: Mapping[str, str],
    policy: Mapping[str, Any],
    is_simulated: bool,
    calibration: Calibration | None = None,
) -> Summary:
    """Count decisions by route and review, and estimate the residual error by the audit.

    Args:
        decided: Decisions, the rejected ones (answer None) among them.
        unanswered: The questions without an answer.
        account, stopped, policy, is_simulated, calibration: See `Summary`, which has them as they are.
    """
    return Summary(
        n_decided=len(decided),
        n_decisions=sum(row.answer is not None for row in decided),
        routes=_counts(row.route for row in decided),
        expert_actions=_counts(row.expert_action for row in decided if row.expert_action),
        review_share=sum(bool(row.expert_action) for row in decided) / len(decided) if decided else None,
        residual_error=_residual_error(decided),
        unanswered=_counts(row.reason for row in unanswered),
        account=dict(account),
        stopped=dict(stopped),
        policy=dict(policy),
        simulated=is_simulated,
        calibration=calibration,
        route_reasons=_counts(row.route_reason for row in decided if row.route_reason),
    )


def _residual_error(decided: Sequence[Decision]) -> ResidualError:
    """The share of audited answers that the expert did not accept: it estimates that of what no expert saw."""
    audited = [row for row in decided if row.route == AUDIT]
    n_wrong = sum(row.expert_action != "accept" for row in audited)
    found = residual_error(n_wrong, len(audited))
    return ResidualError(
        value=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        n_wrong=n_wrong,
        population=sum(row.route in (SELF, REFERENCE) for row in decided),
    )


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
