"""From what the model, the oracle and the expert said to decisions. Pure; knows neither calls nor accounts.

Nothing is guessed: a question without an answer becomes a row with the reason, not a decision.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from services.oracle.domain.questions import QuestionTemplate, question_digest
from services.oracle.domain.signals import Signals
from shared.rows.annotation import Decision, Question, Route, Unanswered
from shared.rows.fields import Options
from shared.rows.selection import Sample

#: A route beside the paper's three: an audit looks at what no expert saw.
AUDIT: Final = "audit"

NOT_KNOWN_TO_ORACLE = "the oracle does not know the question"
NOT_KNOWN_TO_EXPERT = "the expert does not know the question"
NO_EXPERT = "the question needs an expert, and the run has none"
USELESS = "the oracle's answer was of no use, twice"
NO_QUESTION = "no question is known for the image, and its modality has no template"


@dataclass(frozen=True)
class Task:
    """One question to be decided for one sample.

    Attributes:
        decision_id: 32 hex digits, from arm, round, sample and question.
        key: `<image id>/<digest of the question>`; names the question about the image, whatever the arm and round.
        sample: Of the selection.
        candidate: The question.
        reference: The oracle's answer, a letter or a description.
    """

    decision_id: str
    key: str
    sample: Sample
    candidate: QuestionTemplate
    reference: str

    @property
    def question(self) -> Question:
        """As the model and the expert are asked."""
        candidate = self.candidate
        return Question(
            question_id=self.key,
            image_uri=self.sample.image_uri,
            question=candidate.question,
            options=candidate.options,
        )


@dataclass(frozen=True)
class ReviewTask:
    """What an expert is asked to decide.

    Attributes:
        decision_id: Names the task; the same in every attempt.
        question: The image, the question, its options (none: a description is wanted), under an id of its own.
        question_type: "yes_no", "what", "how" or "description".
        attribute: The quality attribute that is asked for, or "".
        modality: Of the image, or "unknown".
        reference_answer: The oracle's; None where it is not shown.
        self_answer: The model's own; None where it has none.
        proposal: The one that is adopted where the expert accepts.
        entropy: H_traj of the model's own in nats per token; None where it cannot be had.
        agreement: delta_ann, 0..1; None where the model has no answer.
        route: Why an expert is asked: "review" (a cold start), "expert" or "audit".
        route_reason: Why there, where entropy and agreement did not decide; else "".
    """

    decision_id: str
    question: Question
    question_type: str
    attribute: str
    modality: str
    reference_answer: str | None
    self_answer: str | None
    proposal: str | None
    entropy: float | None
    agreement: float | None
    route: Route
    route_reason: str


def question_key(image_id: str, candidate: QuestionTemplate) -> str:
    """Names a question about an image, whatever the arm and round."""
    return f"{image_id}/{question_digest(candidate.question, candidate.options)}"


def make_task(arm: str, round_number: int, sample: Sample, candidate: QuestionTemplate, reference: str) -> Task:
    """The task of asking a question about a sample, with the oracle's answer."""
    digest = question_digest(candidate.question, candidate.options)
    name = json.dumps([arm, round_number, sample.sample_id, digest])
    decision_id = hashlib.sha256(name.encode()).hexdigest()[:32]
    return Task(decision_id, question_key(sample.image_id, candidate), sample, candidate, reference)


def review_task(task: Task, signals: Signals) -> ReviewTask:
    """What an expert is asked about a task; where none is needed, it is an audit."""
    return ReviewTask(
        decision_id=task.decision_id,
        question=task.question,
        question_type=task.candidate.question_type,
        attribute=task.candidate.attribute,
        modality=task.sample.modality,
        reference_answer=signals.reference,
        self_answer=signals.self_answer,
        proposal=signals.proposal,
        entropy=signals.entropy,
        agreement=signals.agreement,
        route=AUDIT if signals.is_unseen else signals.route,
        route_reason=signals.reason,
    )


def decision_row(task: Task, signals: Signals, review: tuple[str, str | None] | None, is_simulated: bool) -> Decision:
    """A decision as it is stored.

    Args:
        task: The question.
        signals: What was said.
        review: The expert's action and answer; None where no expert saw it. On a self or reference route it is an audit.
        is_simulated: Whether oracle or expert are simulated.

    Returns: A row whose `answer` is None exactly where the expert rejected the question.
    """
    action, reviewed = review or ("", signals.proposal)
    is_audit = review is not None and signals.is_unseen
    sample, candidate = task.sample, task.candidate
    return Decision(
        decision_id=task.decision_id,
        sample_id=sample.sample_id,
        image_id=sample.image_id,
        image_uri=sample.image_uri,
        modality=sample.modality,
        source_id=sample.source_id,
        capability=sample.capability,
        prototype_id=sample.prototype_id,
        question=candidate.question,
        options=candidate.options,
        question_type=candidate.question_type,
        attribute=candidate.attribute,
        scope=candidate.scope,
        route=AUDIT if is_audit else signals.route,
        audited_route=signals.route if is_audit else "",
        answer=None if action == "reject" else reviewed,
        self_answer=signals.self_answer,
        reference_answer=signals.reference,
        expert_action=action,
        entropy=signals.entropy,
        agreement=signals.agreement,
        simulated=is_simulated,
        route_reason=signals.reason,
    )


def unanswered_row(about: Sample | Decision, question: str, options: Options, reason: str) -> Unanswered:
    """A question about a sample that has no answer, and why."""
    return Unanswered(
        sample_id=about.sample_id, image_id=about.image_id, question=question, options=options, reason=reason
    )
