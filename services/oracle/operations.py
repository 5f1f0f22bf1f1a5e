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
from services.oracle.domain.annotation import Signals, Task
from services.oracle.domain.known_answers import KnownAnswers
from services.oracle.domain.review import PEOPLE, SIMULATED, ReviewTask, Simulation
from services.oracle.ports import AnnotationOracle, Expert, Outcome
from services.oracle.store.annotations import OracleStore
from services.oracle.work import datasets
from services.oracle.work.outside_calls import CallBook, CallResults, OutsideCall, OutsideCalls
from services.oracle.work.reviews import ReviewWork
from services.oracle.work.self_annotation import SelfAnnotation
from shared.errors import Cancelled
from shared.events.bus import Event, event_of
from shared.objects.dataset import read_rows
from shared.objects.store import ObjectStore
from shared.operations import OperationContext
from shared.rows.annotation import Decision, KnownAnswer, Unanswered

_DECISIONS = Counter("medq_oracle_decisions_total", "Annotations that were decided, by route.", ["route"])


@dataclass(frozen=True)
class _Work:
    """One run of `annotate`: what it was asked, and by whom it is answered."""

    context: OperationContext
    request: pb.StartAnnotateRequest
    work_id: str
    tasks: Sequence[Task]
    oracle: AnnotationOracle
    expert: Expert

    @property
    def is_simulated(self) -> bool:
        return self.oracle.is_simulated or self.expert.is_simulated

    def progress(self, what: str, total: int) -> Callable[[int], None]:
        """Reports `done` of `total` calls of one kind."""
        return lambda done: self.context.progress(done, total, "questions", what)

    def book(self, kind: str, is_simulated: bool) -> CallBook:
        run_id, n = self.request.run_id, self.request.policy.max_in_flight
        return CallBook(self.work_id, run_id, kind, n, is_simulated)

    def review_task(self, task: Task, found: Signals) -> ReviewTask:
        """What an expert is asked about a task."""
        request, policy, question = self.request, self.request.policy, task.question
        simulation = Simulation(request.known_answers_uri, policy.simulated_expert_accuracy, request.seed)
        return ReviewTask(
            work_id=self.work_id,
            run_id=request.run_id,
            arm=request.arm,
            round=request.round,
            decision_id=task.decision_id,
            ledger_key=self.ledger_key("expert", task),
            question_id=question.question_id,
            image_id=task.sample.image_id,
            image_uri=question.image_uri,
            modality=task.sample.modality,
            question=question.question,
            options=question.options,
            proposal=found.proposal,
            self_answer=found.self_answer,
            entropy=found.entropy,
            reference_answer=found.reference,
            agreement=found.agreement,
            route=annotation.AUDIT if found.is_unseen else found.route,
            route_reason=found.reason,
            estimate_seconds=self.expert.estimate(found.proposal).expert_seconds,
            expert=SIMULATED if self.expert.is_simulated else PEOPLE,
            simulation=simulation if self.expert.is_simulated else None,
        )

    def ledger_key(self, kind: str, task: Task) -> str:
        request, digest = self.request, task.key.rsplit("/", 1)[1]
        return f"{request.run_id}/{request.arm}/{request.round}/{kind}/{task.sample.sample_id}/{digest}"


class OracleOperations:
    """The long operations of the oracle service.

    Args:
        objects: Where datasets lie.
        store: Outcomes and decisions.
        calls: Makes outside calls with accounts.
        reviews: Has experts decide.
        self_annotation: Asks the model under evolution.
        make_oracle: An annotation oracle from what is known, its accuracy and a seed.
        make_expert: An expert from the same.
    """

    def __init__(
        self,
        objects: ObjectStore,
        store: OracleStore,
        calls: OutsideCalls,
        reviews: ReviewWork,
        self_annotation: SelfAnnotation,
        make_oracle: Callable[[KnownAnswers, float, int], AnnotationOracle],
        make_expert: Callable[[KnownAnswers, float, int], Expert],
    ) -> None:
        self._objects = objects
        self._store = store
        self._calls = calls
        self._reviews = reviews
        self._self_annotation = self_annotation
        self._make_oracle = make_oracle
        self._make_expert = make_expert

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
        policy = request.policy
        rows = read_rows(self._objects, request.known_answers_uri, KnownAnswer)
        planned = datasets.plan(self._objects, request, rows)
        known = KnownAnswers(rows)
        oracle = self._make_oracle(known, policy.simulated_oracle_accuracy, request.seed)
        expert = self._make_expert(known, policy.simulated_expert_accuracy, request.seed)
        work = _Work(context, request, work_id(request), planned.tasks, oracle, expert)
        answers = self._ask_oracle(work)
        calibration = datasets.fit_threshold(self._objects, request)
        signals = self._route(work, answers.outcomes, calibration.tau_entropy if calibration else policy.tau_entropy)
        reviews = self._ask_expert(work, signals)
        dropped = self._decide(work, signals, answers, reviews)
        return datasets.publish_decisions(
            self._objects,
            request,
            planned,
            self._store.decisions(work.work_id),
            dropped,
            {"oracle": answers, "expert": reviews},
            calibration,
            work.is_simulated,
        )

    def _ask_oracle(self, work: _Work) -> CallResults:
        """The reference of each task, by ledger key."""
        calls = [
            OutsideCall(
                work.ledger_key("oracle", task),
                work.oracle.estimate(task.question),
                partial(work.oracle.answer, task.question),
            )
            for task in work.tasks
        ]
        book = work.book("oracle", work.oracle.is_simulated)
        return self._calls.run(book, calls, work.progress("reference answers", len(calls)))

    def _route(self, work: _Work, references: Mapping[str, Outcome], tau_entropy: float) -> dict[str, Signals]:
        """The signals of each task that has a reference, by decision id."""
        policy = work.request.policy
        referred: list[tuple[Task, str]] = []
        for task in work.tasks:
            outcome = references.get(work.ledger_key("oracle", task))
            if outcome is not None and outcome.letter is not None:
                referred.append((task, outcome.letter))
        questions = [task.question for task, _ in referred]
        own = self._self_annotation.answers(work.context, work.request, questions)
        if policy.is_cold_start:
            return {task.decision_id: annotation.cold_start_signals(letter, own[task.key]) for task, letter in referred}
        return {
            task.decision_id: annotation.routed_signals(letter, own[task.key], tau_entropy, policy.tau_agreement)
            for task, letter in referred
        }

    def _ask_expert(self, work: _Work, signals: Mapping[str, Signals]) -> CallResults:
        """The review of each task that goes to the expert or is audited, by ledger key; see `ReviewWork.collect`."""
        share, seed = work.request.policy.audit_share, work.request.seed
        reviewed: list[ReviewTask] = []
        audited: list[ReviewTask] = []
        for task in work.tasks:
            found = signals.get(task.decision_id)
            if found is None:
                continue
            if found.is_unseen and not audit.is_audited(seed, task.decision_id, share):
                continue
            (audited if found.is_unseen else reviewed).append(work.review_task(task, found))
        # Where the budget ends, the audit goes first.
        book = work.book("expert", work.expert.is_simulated)
        return self._reviews.collect(work.context, book, [*reviewed, *audited])

    def _decide(
        self, work: _Work, signals: Mapping[str, Signals], answers: CallResults, reviews: CallResults
    ) -> list[Unanswered]:
        """Append the decisions; returns what could not be decided."""
        dropped = []
        for rank, task in enumerate(work.tasks):
            work.context.progress(rank, len(work.tasks), "questions", "decisions")
            found = signals.get(task.decision_id)
            review = reviews.outcomes.get(work.ledger_key("expert", task))
            if found is None:
                key = work.ledger_key("oracle", task)
                reason = annotation.NOT_KNOWN_TO_ORACLE if key in answers.outcomes else answers.why_not(key)
            else:
                reason = _why_not_reviewed(found, review, reviews.why_not(work.ledger_key("expert", task)))
            if found is None or reason:
                dropped.append(_unanswered(task, reason))
                continue
            seen = (review.action, review.letter) if review is not None and review.action else None
            decision = annotation.decision_row(task, found, seen, work.is_simulated)
            events = [_reviewed(work, decision, rank)] if seen is not None else []
            if self._store.append_decision(work.work_id, decision, events):
                _DECISIONS.labels(decision.route).inc()
        return dropped


def work_id(request: pb.StartAnnotateRequest) -> str:
    """64 hex digits that name what is asked; an operation that is started anew after a failure has the same."""
    asked = pb.StartAnnotateRequest.FromString(request.SerializeToString())
    asked.ClearField("operation_id")
    return hashlib.sha256(asked.SerializeToString(deterministic=True)).hexdigest()


def _why_not_reviewed(signals: Signals, review: Outcome | None, why_not: str) -> str:
    """Why a task that the expert must see has no decision; "" where it has one or needs none."""
    if signals.is_unseen:
        return ""
    if review is None:
        return why_not
    return "" if review.action else annotation.NOT_KNOWN_TO_EXPERT


def _unanswered(task: Task, reason: str) -> Unanswered:
    return annotation.unanswered_row(task.sample, task.candidate.question, task.candidate.options, reason)


def _reviewed(work: _Work, decision: Decision, rank: int) -> Event:
    message = events_pb2.AnnotationReviewed(
        decision_id=decision.decision_id,
        image_id=decision.image_id,
        action=decision.expert_action,
        is_simulated=work.expert.is_simulated,
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
