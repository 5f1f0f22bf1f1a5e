"""From what the model, the oracle and the expert said to decisions. Pure; knows neither calls nor accounts.

Nothing is guessed: a question without an answer becomes a row with the reason, not a decision.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.oracle.domain.questions import QuestionTemplate
from services.oracle.domain.routing import agreement_choice, route, trajectory_entropy

#: Routes of a decision: the paper's three, "review" (cold start: the expert sees all) and "audit".
SELF, REFERENCE, EXPERT, REVIEW, AUDIT = "self", "reference", "expert", "review", "audit"

NOT_KNOWN_TO_ORACLE = "the oracle does not know the question"
NOT_KNOWN_TO_EXPERT = "the expert does not know the question"
REJECTED = "the expert rejected it"
NO_QUESTION = "no question is known for the image, and its modality has no template"


@dataclass(frozen=True)
class Task:
    """One question to be decided for one sample.

    Attributes:
        decision_id: 32 hex digits, from arm, round, sample and question.
        key: `<image id>/<digest of the question>`; names the question about the image, whatever the arm and round.
        sample: The row of the selection.
        candidate: The question.
    """

    decision_id: str
    key: str
    sample: Mapping[str, Any]
    candidate: QuestionTemplate


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
    route: str


def question_digest(text: str, options: Mapping[str, str]) -> str:
    """16 hex digits that name a question with its options."""
    body = json.dumps([text, sorted(options.items())], ensure_ascii=False)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def make_task(arm: str, round_number: int, sample: Mapping[str, Any], candidate: QuestionTemplate) -> Task:
    """The task of asking a question about a sample."""
    digest = question_digest(candidate.question, candidate.options)
    name = json.dumps([arm, round_number, sample["sample_id"], digest])
    decision_id = hashlib.sha256(name.encode()).hexdigest()[:32]
    return Task(decision_id, f"{sample['image_id']}/{digest}", sample, candidate)


def cold_start_signals(reference: str) -> Signals:
    """Round 0 (section 2.3, t = 0): the oracle pre-annotates, and the expert reviews all."""
    return Signals(reference, None, None, None, REVIEW)


def routed_signals(
    reference: str,
    choice: str | None,
    token_logprobs: tuple[float, ...],
    tau_entropy: float,
    tau_agreement: float,
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
    return Signals(reference, choice, entropy, agreement, found.value)


def decision_row(
    task: Task, signals: Signals, review: tuple[str, str | None] | None, is_simulated: bool
) -> dict[str, Any]:
    """A decision as it is stored.

    Args:
        task: The question.
        signals: What was said.
        review: The expert's action and letter; None where no expert saw it. On a self or reference route it is an audit.
        is_simulated: Whether oracle or expert are simulated.

    Returns: The row of `decisions.jsonl`; `answer` is None exactly where the expert rejected the question.
    """
    action, reviewed = review or ("", None)
    is_audit = review is not None and signals.route in (SELF, REFERENCE)
    unseen = signals.self_answer if signals.route == SELF else signals.reference
    sample, candidate = task.sample, task.candidate
    return {
        **{name: sample[name] for name in ("sample_id", "image_id", "image_uri", "modality", "source_id")},
        **{name: sample[name] for name in ("capability", "prototype_id")},
        "decision_id": task.decision_id,
        "question": candidate.question,
        "options": dict(candidate.options),
        "question_type": candidate.question_type,
        "attribute": candidate.attribute,
        "scope": candidate.scope,
        "route": AUDIT if is_audit else signals.route,
        "audited_route": signals.route if is_audit else "",
        "answer": reviewed if review is not None and action != "reject" else None if review else unseen,
        "self_answer": signals.self_answer,
        "reference_answer": signals.reference,
        "expert_action": action,
        "entropy": signals.entropy,
        "agreement": signals.agreement,
        "simulated": is_simulated,
    }


def unanswered_row(
    sample: Mapping[str, Any], question: str, options: Mapping[str, str], reason: str
) -> dict[str, Any]:
    """A row of `unanswered.jsonl`."""
    return {
        "sample_id": sample["sample_id"],
        "image_id": sample["image_id"],
        "question": question,
        "options": dict(options),
        "reason": reason,
    }
