"""From what the model, the oracle and the expert said to decisions. Pure; knows neither calls nor accounts.

Nothing is guessed: a question without an answer becomes a row with the reason, not a decision.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from services.oracle.domain.questions import QuestionTemplate, question_digest
from services.oracle.domain.routing import REFERENCE, SELF, agreement_choice, route, trajectory_entropy
from shared.rows.annotation import Decision, Question, Route, Unanswered
from shared.rows.fields import Options
from shared.rows.selection import Sample

#: Routes beside the paper's three: in a cold start the expert sees all; an audit looks at what no expert saw.
REVIEW: Final = "review"
AUDIT: Final = "audit"

NOT_KNOWN_TO_ORACLE = "the oracle does not know the question"
NOT_KNOWN_TO_EXPERT = "the expert does not know the question"
NO_QUESTION = "no question is known for the image, and its modality has no template"


@dataclass(frozen=True)
class Task:
    """One question to be decided for one sample.

    Attributes:
        decision_id: 32 hex digits, from arm, round, sample and question.
        key: `<image id>/<digest of the question>`; names the question about the image, whatever the arm and round.
        sample: Of the selection.
        candidate: The question.
    """

    decision_id: str
    key: str
    sample: Sample
    candidate: QuestionTemplate

    @property
    def question(self) -> Question:
        """As the model, the oracle and the expert are asked."""
        candidate = self.candidate
        return Question(
            question_id=self.key,
            image_uri=self.sample.image_uri,
            question=candidate.question,
            options=candidate.options,
        )


@dataclass(frozen=True)
class Signals:
    """What Eq. (3) looks at.

    Attributes:
        reference: The oracle's letter.
        self_answer: The model's own letter; None in a cold start, or where no choice can be read from its reply.
        entropy: H_traj in nats per token; None in a cold start, or where the reply has no token.
        agreement: delta_ann, 0..1; None where the model has no letter.
        route: Where that leads.
    """

    reference: str
    self_answer: str | None
    entropy: float | None
    agreement: float | None
    route: Route

    @property
    def is_unseen(self) -> bool:
        """Whether no expert sees the question, but for an audit."""
        return self.route in (SELF, REFERENCE)

    @property
    def proposal(self) -> str | None:
        """The letter that is adopted where no expert changes it."""
        return self.self_answer if self.route == SELF else self.reference


def make_task(arm: str, round_number: int, sample: Sample, candidate: QuestionTemplate) -> Task:
    """The task of asking a question about a sample."""
    digest = question_digest(candidate.question, candidate.options)
    name = json.dumps([arm, round_number, sample.sample_id, digest])
    decision_id = hashlib.sha256(name.encode()).hexdigest()[:32]
    return Task(decision_id, f"{sample.image_id}/{digest}", sample, candidate)


def cold_start_signals(reference: str) -> Signals:
    """Round 0 (section 2.3, t = 0): the oracle pre-annotates, and the expert reviews all."""
    return Signals(reference, None, None, None, REVIEW)


def routed_signals(
    reference: str, choice: str | None, token_logprobs: tuple[float, ...], tau_entropy: float, tau_agreement: float
) -> Signals:
    """Later rounds (section 2.3, t > 0): H^traj of Eq. (3), delta^ann, and the route they lead to.

    Args:
        reference: The oracle's letter.
        choice: The model's letter; None where no choice can be read from its reply, which counts as uncertain.
        token_logprobs: (n_tokens,) nats.
        tau_entropy: tau_H, nats per token.
        tau_agreement: tau_ann, 0..1.
    """
    entropy = trajectory_entropy(token_logprobs) if token_logprobs else None
    if choice is None or entropy is None:
        return Signals(reference, choice, entropy, None, REFERENCE)
    agreement = agreement_choice(choice, reference)
    found = route(entropy, agreement, tau_entropy=tau_entropy, tau_agreement=tau_agreement)
    return Signals(reference, choice, entropy, agreement, found)


def decision_row(task: Task, signals: Signals, review: tuple[str, str | None] | None, is_simulated: bool) -> Decision:
    """A decision as it is stored.

    Args:
        task: The question.
        signals: What was said.
        review: The expert's action and letter; None where no expert saw it. On a self or reference route it is an audit.
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
    )


def unanswered_row(about: Sample | Decision, question: str, options: Options, reason: str) -> Unanswered:
    """A question about a sample that has no answer, and why."""
    return Unanswered(
        sample_id=about.sample_id, image_id=about.image_id, question=question, options=options, reason=reason
    )
