"""Tasks of the queue as messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from medq.oracle.v1 import review_pb2 as pb
from services.oracle.domain import review
from services.oracle.domain.measures import shown
from services.oracle.domain.review import Verdict
from services.oracle.domain.review_statistics import Statistics, Tally
from services.oracle.store import review_tables as store
from services.oracle.store.review_tables import QueuedTask
from shared.objects.store import digest_of

#: Stands as the route of a question whose answer is known.
CALIBRATION: Final = "calibration"
STATES: Final = {
    store.OPEN: pb.TASK_STATE_OPEN,
    store.DECIDED: pb.TASK_STATE_DECIDED,
    store.CLOSED: pb.TASK_STATE_CLOSED,
    store.WITHDRAWN: pb.TASK_STATE_WITHDRAWN,
}
ACTIONS: Final = {
    review.ACCEPT: pb.REVIEW_ACTION_ACCEPT,
    review.EDIT: pb.REVIEW_ACTION_EDIT,
    review.REJECT: pb.REVIEW_ACTION_REJECT,
}


@dataclass(frozen=True)
class Viewer:
    """Who is told about a task.

    Attributes:
        name: Under which they decide; "" where it is not known.
        is_operator: Whether they run the queue, so that decisions are told to them at once.
    """

    name: str
    is_operator: bool


def to_message(queued: QueuedTask, viewer: Viewer) -> pb.ReviewTask:
    """Encode a task, without what whoever is still to answer its question must not know."""
    entry = queued.entry
    is_over = queued.state == store.DECIDED and not queued.is_awaited
    is_own = queued.verdict is not None and queued.verdict.reviewer == viewer.name
    task = shown(entry, is_told=is_over or is_own)
    question = task.question
    message = pb.ReviewTask(
        task_id=entry.task_id,
        revision=queued.revision,
        state=STATES[queued.state],
        run_id=entry.run_id,
        arm=entry.arm,
        round=entry.round,
        decision_id=task.decision_id,
        image_id=digest_of(question.image_uri),
        image_uri=question.image_uri,
        modality=task.modality,
        question_type=task.question_type,
        attribute=task.attribute,
        question=question.question,
        options=question.options,
        proposal=task.proposal,
        self_annotation=pb.Annotation(answer=task.self_answer, entropy=task.entropy),
        reference_annotation=pb.Annotation(answer=task.reference_answer),
        agreement=task.agreement,
        route=CALIBRATION if entry.known_answer else task.route,
        route_reason=task.route_reason,
        priority=queued.priority,
        expert=entry.expert,
        reviewer=queued.reviewer,
        clean_neighbours=entry.clean_neighbours,
        similar_failures=entry.similar_failures,
        is_locked=queued.is_locked,
        assignee=queued.assignee,
        is_blind=entry.is_blind,
        is_reference_simulated=entry.is_reference_simulated,
        opinion=entry.opinion,
        opinions=[_said(verdict) for verdict in entry.opinions],
    )
    if queued.reviewer:
        message.lease_end_time.FromNanoseconds(int(queued.lease_until * 1e9))
    if queued.verdict is not None and (is_over or is_own or viewer.is_operator):
        message.decision.CopyFrom(_decision(queued, queued.verdict))
    return message


def to_statistics(found: Statistics) -> pb.GetReviewStatisticsResponse:
    """Encode how reviewers decide."""
    agreement = found.agreement
    pairs = [pb.ReviewerPair(**vars(pair)) for pair in agreement.pairs]
    return pb.GetReviewStatisticsResponse(
        agreement=pb.ReviewAgreement(n=agreement.n, n_same=agreement.n_same, alpha=agreement.alpha, pairs=pairs),
        reviewers=[pb.ReviewerStatistics(reviewer=name, tally=_tally(one)) for name, one in found.reviewers.items()],
        cells=[
            pb.CellStatistics(modality=modality, attribute=attribute, tally=_tally(one))
            for (modality, attribute), one in found.cells.items()
        ],
    )


def _tally(one: Tally) -> pb.ReviewTally:
    counts = {name: value for name, value in vars(one).items() if name != "accept_seconds"}
    return pb.ReviewTally(**counts, median_accept_seconds=one.median_accept_seconds)


def _said(verdict: Verdict) -> pb.ReviewDecision:
    """A decision without who made it."""
    action = ACTIONS.get(verdict.action, pb.REVIEW_ACTION_UNSPECIFIED)
    return pb.ReviewDecision(
        action=action, answer=verdict.answer, reason=verdict.reason, active_seconds=verdict.active_seconds
    )


def _decision(queued: QueuedTask, verdict: Verdict) -> pb.ReviewDecision:
    decision = _said(verdict)
    decision.reviewer = verdict.reviewer
    decision.decide_time.FromNanoseconds(int(queued.decided_at * 1e9))
    return decision
