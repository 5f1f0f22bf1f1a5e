"""What a set of decisions says of itself: routes, reviews, the error left in what no expert saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.oracle.domain.annotation import AUDIT
from services.oracle.domain.audit import residual_error
from services.oracle.domain.routing import REFERENCE, SELF
from shared.rows.annotation import Account, Calibration, Decision, ResidualError, RouteShare, Summary, Unanswered


def summarise(
    decided: Sequence[Decision],
    unanswered: Iterable[Unanswered],
    *,
    account: Mapping[str, Account],
    stopped: Mapping[str, str],
    policy: Mapping[str, Any],
    is_simulated: bool,
    calibration: Calibration | None = None,
    calibration_description: Calibration | None = None,
    n_without_choice: int = 0,
    n_asked_again: int = 0,
    simulated_parts: Sequence[str] = (),
) -> Summary:
    """Count decisions by route and review, and estimate the residual error by the audit.

    Args:
        decided: Decisions, the rejected ones (answer None) among them.
        unanswered: The questions without an answer, and the images without a question.
        account, stopped, policy, is_simulated, calibration, calibration_description, n_without_choice, n_asked_again,
        simulated_parts: See `Summary`, which has them as they are.
    """
    without = list(unanswered)
    return Summary(
        n_decided=len(decided),
        n_decisions=sum(row.answer is not None for row in decided),
        routes=_counts(row.route for row in decided),
        expert_actions=_counts(row.expert_action for row in decided if row.expert_action),
        review_share=sum(bool(row.expert_action) for row in decided) / len(decided) if decided else None,
        residual_error=_error(
            [row for row in decided if row.route == AUDIT], sum(row.route in (SELF, REFERENCE) for row in decided)
        ),
        unanswered=_counts(row.reason for row in without if row.question),
        images_without_question=_counts(row.reason for row in without if not row.question),
        account=dict(account),
        stopped=dict(stopped),
        policy=dict(policy),
        simulated=is_simulated,
        calibration=calibration,
        calibration_description=calibration_description,
        n_without_choice=n_without_choice,
        n_asked_again=n_asked_again,
        simulated_parts=list(simulated_parts),
        by_route=_by_route(decided),
        route_reasons=_counts(row.route_reason for row in decided if row.route_reason),
    )


def _by_route(decided: Sequence[Decision]) -> dict[str, RouteShare]:
    """Each route that occurs: its share, how much of it was reviewed, and how much of that was wrong."""
    routes: dict[str, list[Decision]] = {}
    for row in decided:
        routes.setdefault(row.audited_route or row.route, []).append(row)
    return {
        route: RouteShare(
            n=len(rows),
            share=len(rows) / len(decided),
            review_share=sum(bool(row.expert_action) for row in rows) / len(rows),
            error=_error([row for row in rows if row.expert_action], sum(not row.expert_action for row in rows)),
        )
        for route, rows in sorted(routes.items())
    }


def _error(reviewed: Sequence[Decision], population: int) -> ResidualError:
    """The share of reviewed answers that the expert did not accept; of audited ones it estimates that of the population."""
    was_wrong = [row.expert_action != "accept" for row in reviewed]
    sources = [row.source_id for row in reviewed]
    found = residual_error(was_wrong, sources)
    return ResidualError(
        value=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        n_wrong=sum(was_wrong),
        population=population,
        n_sources=len(set(sources)),
    )


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
