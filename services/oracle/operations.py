"""Annotation as the paper has it: questions, pre-annotation, routing by Eq. (3), review, audit.

Restartable: an outside call is made once under its key, a decision is appended once, the self-annotation is one
operation of the evaluation service with an id of its own, and the rest is computed again to the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from prometheus_client import Counter

from medq.oracle.v1 import events_pb2
from medq.oracle.v1 import oracle_pb2 as pb
from services.oracle import datasets
from services.oracle.domain import annotation, audit
from services.oracle.domain.annotation import Signals, Task
from services.oracle.domain.known_answers import KnownAnswers
from services.oracle.outside_calls import CallBook, CallResults, OutsideCall, OutsideCalls
from services.oracle.ports import AnnotationOracle, Expert, Outcome, Question, SelfAnnotator
from services.oracle.store import OracleStore
from shared.events.bus import Event, event_id
from shared.objects.dataset import JsonObject
from shared.objects.store import ObjectStore
from shared.operations import OperationContext

_DECISIONS = Counter("medq_oracle_decisions_total", "Annotations that were decided, by route.", ["route"])
REVIEWED = "medq.oracle.annotation-reviewed.v1"


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

    def ledger_key(self, kind: str, task: Task) -> str:
        request, digest = self.request, task.key.rsplit("/", 1)[1]
        sample_id = task.sample["sample_id"]
        return f"{request.run_id}/{request.arm}/{request.round}/{kind}/{sample_id}/{digest}"


class OracleOperations:
    """The long operations of the oracle service.

    Args:
        objects: Where datasets lie.
        store: Outcomes and decisions.
        calls: Makes outside calls with accounts.
        annotator: The model under evolution.
        make_oracle: An annotation oracle from what is known, its accuracy and a seed.
        make_expert: An expert from the same.
    """

    def __init__(
        self,
        objects: ObjectStore,
        store: OracleStore,
        calls: OutsideCalls,
        annotator: SelfAnnotator,
        make_oracle: Callable[[KnownAnswers, float, int], AnnotationOracle],
        make_expert: Callable[[KnownAnswers, float, int], Expert],
    ) -> None:
        self._objects = objects
        self._store = store
        self._calls = calls
        self._annotator = annotator
        self._make_oracle = make_oracle
        self._make_expert = make_expert

    def import_known_answers(
        self, context: OperationContext, request: pb.StartImportKnownAnswersRequest
    ) -> str:
        """Turn a benchmark about pool images into known answers."""
        context.check_cancelled()
        return datasets.import_known_answers(self._objects, request.benchmark_uri)

    def annotate(self, context: OperationContext, request: pb.StartAnnotateRequest) -> str:
        """Have a selection annotated."""
        policy = request.policy
        tasks, without_question = datasets.plan(self._objects, request)
        known = datasets.read_known_answers(self._objects, request.known_answers_uri)
        oracle = self._make_oracle(known, policy.simulated_oracle_accuracy, request.seed)
        expert = self._make_expert(known, policy.simulated_expert_accuracy, request.seed)
        work = _Work(context, request, work_id(request), tasks, oracle, expert)
        answers = self._ask_oracle(work)
        signals = self._route(work, answers.outcomes)
        reviews = self._ask_expert(work, signals)
        dropped = self._decide(work, signals, answers, reviews)
        rows = self._store.decisions(work.work_id)
        stopped = {"oracle": answers.stopped, "expert": reviews.stopped}
        calls = {"oracle": list(answers.outcomes.values()), "expert": list(reviews.outcomes.values())}
        return datasets.write_decisions(
            self._objects, request, rows, [*without_question, *dropped], calls, stopped, work.is_simulated
        )

    def _ask_oracle(self, work: _Work) -> CallResults:
        """The reference of each task, by ledger key."""
        calls = []
        for task in work.tasks:
            question = _question(task)
            calls.append(
                OutsideCall(
                    work.ledger_key("oracle", task),
                    work.oracle.estimate(question),
                    partial(work.oracle.answer, question),
                )
            )
        book = work.book("oracle", work.oracle.is_simulated)
        return self._calls.run(book, calls, work.progress("reference answers", len(calls)))

    def _route(self, work: _Work, references: Mapping[str, Outcome]) -> dict[str, Signals]:
        """The signals of each task that has a reference, by decision id."""
        policy = work.request.policy
        referred: list[tuple[Task, str]] = []
        for task in work.tasks:
            outcome = references.get(work.ledger_key("oracle", task))
            if outcome is not None and outcome.letter is not None:
                referred.append((task, outcome.letter))
        if policy.is_cold_start:
            return {task.decision_id: annotation.cold_start_signals(letter) for task, letter in referred}
        own = self._annotator.annotate(
            f"{work.context.operation_id}/self",
            work.request.model_uri,
            [_question(task) for task, _ in referred],
            work.request.seed,
            lambda done, total: work.context.progress(done, total, "questions", "self-annotation"),
            work.context.is_cancelled,
        )
        return {
            task.decision_id: annotation.routed_signals(
                letter,
                own[task.key].choice,
                own[task.key].token_logprobs,
                policy.tau_entropy,
                policy.tau_agreement,
            )
            for task, letter in referred
        }

    def _ask_expert(self, work: _Work, signals: Mapping[str, Signals]) -> CallResults:
        """The review of each task that goes to the expert or is audited, by ledger key."""
        share, seed = work.request.policy.audit_share, work.request.seed
        reviewed: list[OutsideCall] = []
        audited: list[OutsideCall] = []
        for task in work.tasks:
            found = signals.get(task.decision_id)
            if found is None:
                continue
            unseen = found.route in (annotation.SELF, annotation.REFERENCE)
            if unseen and not audit.is_audited(seed, task.decision_id, share):
                continue
            proposal = found.self_answer if found.route == annotation.SELF else found.reference
            call = OutsideCall(
                work.ledger_key("expert", task),
                work.expert.estimate(proposal),
                partial(work.expert.review, _question(task), proposal),
            )
            (audited if unseen else reviewed).append(call)
        calls = [*reviewed, *audited]  # where the budget ends, the audit goes first
        book = work.book("expert", work.expert.is_simulated)
        return self._calls.run(book, calls, work.progress("reviews", len(calls)))

    def _decide(
        self, work: _Work, signals: Mapping[str, Signals], answers: CallResults, reviews: CallResults
    ) -> list[JsonObject]:
        """Append the decisions; returns the rows of what could not be decided."""
        dropped = []
        for rank, task in enumerate(work.tasks):
            work.context.progress(rank, len(work.tasks), "questions", "decisions")
            found = signals.get(task.decision_id)
            review = reviews.outcomes.get(work.ledger_key("expert", task))
            if found is None:
                is_asked = work.ledger_key("oracle", task) in answers.outcomes
                reason = annotation.NOT_KNOWN_TO_ORACLE if is_asked else answers.stopped
            else:
                reason = _why_not_reviewed(found, review, reviews.stopped)
            if found is None or reason:
                dropped.append(_unanswered(task, reason))
                continue
            seen = (review.action, review.letter) if review is not None and review.action else None
            row = annotation.decision_row(task, found, seen, work.is_simulated)
            events = [_reviewed(work, row, rank)] if seen is not None else []
            if self._store.append_decision(work.work_id, task.decision_id, row, events):
                _DECISIONS.labels(row["route"]).inc()
        return dropped


def work_id(request: pb.StartAnnotateRequest) -> str:
    """64 hex digits that name what is asked; an operation that is started anew after a failure has the same."""
    asked = pb.StartAnnotateRequest.FromString(request.SerializeToString())
    asked.ClearField("operation_id")
    return hashlib.sha256(asked.SerializeToString(deterministic=True)).hexdigest()


def _question(task: Task) -> Question:
    candidate = task.candidate
    return Question(task.key, str(task.sample["image_uri"]), candidate.question, candidate.options)


def _why_not_reviewed(signals: Signals, review: Outcome | None, stopped: str) -> str:
    """Why a task that the expert must see has no decision; "" where it has one or needs none."""
    if signals.route in (annotation.SELF, annotation.REFERENCE):
        return ""
    if review is None:
        return stopped
    return "" if review.action else annotation.NOT_KNOWN_TO_EXPERT


def _unanswered(task: Task, reason: str) -> JsonObject:
    return annotation.unanswered_row(task.sample, task.candidate.question, task.candidate.options, reason)


def _reviewed(work: _Work, row: JsonObject, rank: int) -> Event:
    request = work.request
    message = events_pb2.AnnotationReviewed(
        decision_id=row["decision_id"],
        image_id=row["image_id"],
        action=row["expert_action"],
        is_simulated=work.expert.is_simulated,
    )
    return Event(
        id=event_id(REVIEWED, work.work_id, row["decision_id"]),
        type=REVIEWED,
        source="medq/oracle",
        key=request.run_id,
        data=message.SerializeToString(deterministic=True),
        time=datetime.now(UTC),
        run_id=request.run_id,
        round=request.round,
        operation_id=work.context.operation_id,
        sequence=rank,
    )
