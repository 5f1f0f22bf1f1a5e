"""Annotation as the paper has it: questions, pre-annotation, routing by Eq. (3), review, audit.

Restartable: an outside call is made once under its key, a decision is appended once, the self-annotation is one
operation of the evaluation service with an id of its own, and the rest is computed again to the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import Counter

from medq.oracle.v1 import events_pb2
from medq.oracle.v1 import oracle_pb2 as pb
from services.oracle.domain import annotation, audit
from services.oracle.domain.annotation import Task
from services.oracle.domain.measures import Shares, calibration_entries, measured
from services.oracle.domain.review import PEOPLE, SIMULATED, QueueEntry, Simulation
from services.oracle.domain.signals import Signals
from services.oracle.ports import AnnotationOracle, Outcome, Reviewer, Reviews
from services.oracle.store.annotations import OracleStore
from services.oracle.work import datasets, routing
from services.oracle.work.annotators import Annotators, Makers, annotators_of
from services.oracle.work.neighbours import Neighbours
from services.oracle.work.pre_annotation import PreAnnotation, pre_annotate
from services.oracle.work.reviews import ReviewWork
from services.oracle.work.self_annotation import SelfAnnotation
from shared.errors import Cancelled
from shared.events.bus import Event, event_of
from shared.objects.dataset import read_rows
from shared.objects.store import ObjectStore
from shared.operation_context import OperationContext
from shared.outside.accounts import CallBook
from shared.outside.calls import OutsideCalls
from shared.rows.annotation import Decision, Unanswered
from shared.rows.benchmark import Item
from shared.rows.selection import Sample

_DECISIONS = Counter("medq_oracle_decisions_total", "Annotations that were decided, by route.", ["route"])


@dataclass(frozen=True)
class _Work:
    """One run of `annotate`: what it was asked, and by whom it is answered."""

    context: OperationContext
    request: pb.StartAnnotateRequest
    work_id: str
    annotators: Annotators

    @property
    def oracle(self) -> AnnotationOracle:
        return self.annotators.oracle

    @property
    def expert(self) -> Reviewer | None:
        return self.annotators.expert

    def progress(self, unit: str, what: str, total: int) -> Callable[[int], None]:
        """Reports `done` of `total` calls of one kind."""
        return lambda done: self.context.progress(done, total, unit, what)

    def review_book(self, expert: Reviewer) -> CallBook:
        run_id, n = self.request.run_id, self.request.policy.max_in_flight
        return CallBook(self.work_id, run_id, "expert", n, expert.is_simulated)

    def entry(self, expert: Reviewer, neighbours: Neighbours, task: Task, found: Signals) -> QueueEntry:
        """What is queued for an expert."""
        clean, failed = neighbours.of(task.sample)
        request, asked = self.request, annotation.review_task(task, found)
        simulation = Simulation(request.known_answers_uri, request.policy.simulated_expert_accuracy, request.seed)
        return QueueEntry(
            work_id=self.work_id,
            run_id=request.run_id,
            arm=request.arm,
            round=request.round,
            ledger_key=self.ledger_key("expert", task.sample, task.key.rsplit("/", 1)[1]),
            asked=asked,
            estimate_seconds=expert.estimate(asked).expert_seconds,
            expert=SIMULATED if expert.is_simulated else PEOPLE,
            simulation=simulation if expert.is_simulated else None,
            clean_neighbours=clean,
            similar_failures=failed,
            is_reference_simulated=self.oracle.is_simulated,
        )

    def ledger_key(self, kind: str, sample: Sample, last: str) -> str:
        request = self.request
        return f"{request.run_id}/{request.arm}/{request.round}/{kind}/{sample.sample_id}/{last}"


class OracleOperations:
    """The long operations of the oracle service.

    Args:
        objects: Where datasets lie.
        store: Outcomes and decisions.
        calls: Makes outside calls with accounts.
        reviews: Has experts decide.
        self_annotation: Asks the model under evolution.
        makers: How oracles and experts are made.
    """

    def __init__(
        self,
        objects: ObjectStore,
        store: OracleStore,
        calls: OutsideCalls[Outcome],
        reviews: ReviewWork,
        self_annotation: SelfAnnotation,
        makers: Makers,
    ) -> None:
        self._objects = objects
        self._store = store
        self._calls = calls
        self._reviews = reviews
        self._self_annotation = self_annotation
        self._makers = makers

    def import_known_answers(self, context: OperationContext, request: pb.StartImportKnownAnswersRequest) -> str:
        """Turn a benchmark about pool images into known answers."""
        context.check_cancelled()
        return datasets.import_known_answers(self._objects, request.benchmark_uri)

    def annotate(self, context: OperationContext, request: pb.StartAnnotateRequest) -> str:
        """Have a selection annotated.

        Raises:
            Parked: It waits for reviews.
        """
        try:
            return self._annotate(context, request)
        except Cancelled:
            self._reviews.withdraw(work_id(request), request.run_id)
            raise

    def _annotate(self, context: OperationContext, request: pb.StartAnnotateRequest) -> str:
        annotators = annotators_of(self._objects, request, self._makers)
        work = _Work(context, request, work_id(request), annotators)
        proposed = self._ask_oracle(work, read_rows(self._objects, request.selection_uri, Sample))
        own = self._self_annotation.answers(context, request, [task.question for task in proposed.tasks])
        calibrations = routing.fit_thresholds(self._objects, request)
        signals = routing.signals_of(request.policy, calibrations, proposed.tasks, own)
        reviews = self._ask_expert(work, proposed.tasks, signals)
        dropped = self._decide(work, proposed.tasks, signals, reviews)
        decided = self._store.decisions(work.work_id)
        return datasets.publish_decisions(
            self._objects, request, annotators, proposed, decided, dropped, reviews, calibrations
        )

    def _ask_oracle(self, work: _Work, samples: Sequence[Sample]) -> PreAnnotation:
        """The questions about each sample with the oracle's answers."""
        request = work.request
        return pre_annotate(
            self._calls,
            work.oracle.book(work.work_id, request.run_id, request.policy.max_in_flight),
            work.oracle,
            samples,
            lambda sample, number: work.ledger_key("oracle", sample, str(number)),
            partial(annotation.make_task, request.arm, request.round),
            work.progress("images", "reference answers", len(samples)),
        )

    def _ask_expert(self, work: _Work, tasks: Sequence[Task], signals: Mapping[str, Signals]) -> Reviews:
        """What the expert says of each task that needs one, or that the audit drew; see `ReviewWork.collect`."""
        share, seed = work.request.policy.audit_share, work.request.seed
        needed = [task for task in tasks if not signals[task.decision_id].is_unseen]
        expert = work.expert
        if expert is None:
            return Reviews(why_not={task.decision_id: annotation.NO_EXPERT for task in needed})
        unseen = [task for task in tasks if signals[task.decision_id].is_unseen]
        audited = [task for task in unseen if audit.is_drawn("audit", seed, task.decision_id, share)]
        # Where the budget ends, the audit goes first.
        near = Neighbours(self._objects, work.request.selection_uri)
        entries = [work.entry(expert, near, task, signals[task.decision_id]) for task in [*needed, *audited]]
        if not expert.is_simulated:
            self._calibrate(work)
            review = work.request.policy.review
            shares = Shares(review.overlap_share, review.blind_share, review.planted_share)
            entries = measured(entries, shares, seed)
        return self._reviews.collect(work.context, work.review_book(expert), entries)

    def _calibrate(self, work: _Work) -> None:
        """Have reviewers answer questions of the dev set first, whose answers are known."""
        request = work.request
        count = request.policy.review.calibration_tasks
        if count:
            items = read_rows(self._objects, request.benchmark_uri, Item)
            entries = calibration_entries(items, count, request.seed, request.run_id, request.arm)
            self._reviews.calibrate(request.run_id, entries)

    def _decide(
        self, work: _Work, tasks: Sequence[Task], signals: Mapping[str, Signals], reviews: Reviews
    ) -> list[Unanswered]:
        """Append the decisions; returns what could not be decided."""
        dropped = []
        for rank, task in enumerate(tasks):
            work.context.progress(rank, len(tasks), "questions", "decisions")
            found = signals[task.decision_id]
            reason = _why_not_reviewed(task, found, reviews)
            if reason:
                candidate = task.candidate
                dropped.append(annotation.unanswered_row(task.sample, candidate.question, candidate.options, reason))
                continue
            review = reviews.decided.get(task.decision_id)
            seen = (review.action, review.answer) if review is not None and review.action else None
            decision = annotation.decision_row(task, found, seen, work.annotators.is_simulated)
            events = [_reviewed(work, decision, rank)] if seen is not None else []
            if self._store.append_decision(work.work_id, decision, events):
                _DECISIONS.labels(decision.route).inc()
        return dropped


def work_id(request: pb.StartAnnotateRequest) -> str:
    """64 hex digits that name what is asked; an operation that is started anew after a failure has the same."""
    asked = pb.StartAnnotateRequest.FromString(request.SerializeToString())
    asked.ClearField("operation_id")
    return hashlib.sha256(asked.SerializeToString(deterministic=True)).hexdigest()


def _why_not_reviewed(task: Task, signals: Signals, reviews: Reviews) -> str:
    """Why a task that the expert must see has no decision; "" where it has one or needs none."""
    if signals.is_unseen:
        return ""
    review = reviews.decided.get(task.decision_id)
    if review is None:
        return reviews.why_not[task.decision_id]
    return "" if review.action else annotation.NOT_KNOWN_TO_EXPERT


def _reviewed(work: _Work, decision: Decision, rank: int) -> Event:
    message = events_pb2.AnnotationReviewed(
        decision_id=decision.decision_id,
        image_id=decision.image_id,
        action=decision.expert_action,
        is_simulated=work.expert is not None and work.expert.is_simulated,
    )
    return event_of(
        message,
        (work.work_id, decision.decision_id),
        key=work.request.run_id,
        run_id=work.request.run_id,
        round=work.request.round,
        operation_id=work.context.operation_id,
        sequence=rank,
    )
