"""What the model's own annotation says beside the oracle's, and where a question goes by it: Eq. (3). Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from services.oracle.domain.routing import (
    EXPERT,
    REFERENCE,
    SELF,
    Similarity,
    agreement_choice,
    agreement_description,
    route,
)
from shared.entropy import trajectory_entropy
from shared.errors import InvalidArgument
from shared.quality_level import closing_level
from shared.rows.annotation import Generation, Route

#: A route beside the paper's three: in a cold start the expert sees all.
REVIEW: Final = "review"

NO_ANSWER = "the model is confident, and no choice or quality level can be read from its reply"
UNREVIEWED = "the run has no expert: the oracle's answer is adopted unreviewed"


@dataclass(frozen=True)
class Own:
    """The model's own annotation beside the oracle's.

    Attributes:
        answer: Its letter or description; None where none can be read from its reply.
        agreement: delta_ann, 0..1; None without an answer.
        logprobs: Of the tokens that H^traj is over.
        fault: Why those cannot be used; "" where they can.
    """

    answer: str | None
    agreement: float | None
    logprobs: tuple[float, ...]
    fault: str


@dataclass(frozen=True)
class Signals:
    """What Eq. (3) looks at.

    Attributes:
        reference: The oracle's letter or description.
        self_answer: The model's own; None where none can be read from its reply.
        entropy: H_traj in nats per token; None where its log-probabilities cannot be used.
        agreement: delta_ann, 0..1; None where the model has no answer.
        route: Where that leads.
        reason: Why there, where entropy and agreement did not decide; else "".
    """

    reference: str
    self_answer: str | None
    entropy: float | None
    agreement: float | None
    route: Route
    reason: str = ""

    @property
    def is_unseen(self) -> bool:
        """Whether no expert sees the question, but for an audit."""
        return self.route in (SELF, REFERENCE)

    @property
    def proposal(self) -> str | None:
        """The answer that is adopted where no expert changes it."""
        return self.self_answer if self.route == SELF else self.reference


def own_choice(reference: str, reply: Generation) -> Own:
    """The model's letter beside the oracle's; H^traj is over the tokens that carry it, over all where those are not known."""
    logprobs = reply.token_logprobs if reply.answer_logprobs is None else reply.answer_logprobs
    agreement = None if reply.choice is None else agreement_choice(reply.choice, reference)
    return Own(reply.choice, agreement, logprobs, reply.logprobs_fault)


def own_description(reference: str, reply: Generation, similarity: Similarity, tau_text: float) -> Own:
    """The model's description beside the oracle's; H^traj is over the whole trajectory. One without a quality level is none."""
    if not closing_level(reply.answer):
        return Own(None, None, reply.token_logprobs, reply.logprobs_fault)
    agreement = agreement_description(reply.answer, reference, similarity, tau_text=tau_text)
    return Own(reply.answer, agreement, reply.token_logprobs, reply.logprobs_fault)


def cold_start_signals(reference: str, own: Own, *, has_expert: bool = True) -> Signals:
    """Round 0 (section 2.3, t = 0): the oracle pre-annotates, and the expert reviews all.

    Without an expert what the oracle says is adopted as it is. What the model says changes nothing here; it is kept, so that
    later rounds fit tau_H on these reviews.
    """
    found = routed_signals(reference, own, 0.0, 0.0)
    return replace(found, route=REVIEW, reason="") if has_expert else replace(found, route=REFERENCE, reason=UNREVIEWED)


def routed_signals(reference: str, own: Own, tau_entropy: float, tau_agreement: float) -> Signals:
    """Later rounds (section 2.3, t > 0): H^traj of Eq. (3), delta^ann, and the route they lead to.

    A confident reply without an answer goes to the expert, as one that disagrees. So does one of whose log-probabilities no
    entropy can be had: it is neither confident nor unsure.

    Args:
        reference: The oracle's letter or description.
        own: The model's.
        tau_entropy: tau_H of this kind of question, nats per token.
        tau_agreement: tau_ann, 0..1.
    """
    try:
        entropy = trajectory_entropy(own.logprobs)
    except InvalidArgument as error:
        return Signals(reference, own.answer, None, own.agreement, EXPERT, own.fault or error.message)
    found = route(entropy, own.agreement or 0.0, tau_entropy=tau_entropy, tau_agreement=tau_agreement)
    if own.answer is None and found != REFERENCE:
        return Signals(reference, None, entropy, None, EXPERT, NO_ANSWER)
    return Signals(reference, own.answer, entropy, own.agreement, found)
