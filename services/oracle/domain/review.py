"""A task for an expert, and what a decision about it must be. Knows neither the queue nor who decides."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from shared.errors import InvalidArgument
from shared.rows.fields import Options

ACCEPT: Final = "accept"
EDIT: Final = "edit"
REJECT: Final = "reject"
#: Who decides: people, the program that stands in for them, or nobody; the names of `medq.oracle.v1.ExpertKind`.
PEOPLE: Final = "review"
SIMULATED: Final = "simulated"
NOBODY: Final = "none"
#: Average time of a review and of an annotation from scratch (Table 3 of the paper: 0.5 and 5.1 minutes).
REVIEW_SECONDS: Final = 30.0
FROM_SCRATCH_SECONDS: Final = 306.0
#: Places in the queue: what cannot go on without an expert comes before what is looked at to measure the rest.
NEEDED_FIRST: Final = 0
AUDITED_LAST: Final = 1
#: Longest description, longest reason, in characters, and the longest time that one decision may take, in seconds.
MOST_ANSWER_CHARACTERS = 20_000
MOST_REASON_CHARACTERS = 2_000
MOST_SECONDS = 86_400.0


@dataclass(frozen=True)
class Simulation:
    """What the simulated expert stands on: `sha256:<hex>` of the known answers, their accuracy 0..1, and the seed."""

    known_answers_uri: str
    accuracy: float
    seed: int


@dataclass(frozen=True)
class ReviewTask:
    """One question about one image, for an expert, as it is queued; it never changes.

    Attributes:
        work_id: The work that asks.
        run_id, arm, round: Whose it is.
        decision_id: The decision that it becomes.
        ledger_key: Of its cost.
        question_id: Names the question about the image, whatever the arm and round.
        image_id, image_uri, modality: The image.
        question, options: What is asked; without options a description.
        proposal: The letter or text that is adopted where the expert accepts; None where nothing is proposed.
        self_answer, entropy: The model's own annotation, with H_traj in nats per token; None where it has none.
        reference_answer: The oracle's.
        agreement: delta_ann, 0..1; None where the model has no answer.
        route, route_reason: Why it is here: "review", "expert" or "audit".
        estimate_seconds: Seconds of an expert that are reserved for it.
        expert: `PEOPLE` or `SIMULATED`.
        simulation: What a simulated expert stands on; None for people.
    """

    work_id: str
    run_id: str
    arm: str
    round: int
    decision_id: str
    ledger_key: str
    question_id: str
    image_id: str
    image_uri: str
    modality: str
    question: str
    options: Options
    proposal: str | None
    self_answer: str | None
    entropy: float | None
    reference_answer: str | None
    agreement: float | None
    route: str
    route_reason: str
    estimate_seconds: float
    expert: str = PEOPLE
    simulation: Simulation | None = None

    @property
    def task_id(self) -> str:
        """32 hex digits, from the work and the decision."""
        return hashlib.sha256(f"{self.work_id}/{self.decision_id}".encode()).hexdigest()[:32]

    @property
    def priority(self) -> int:
        """Its place in the queue, the lower the sooner."""
        return AUDITED_LAST if self.route == "audit" else NEEDED_FIRST


@dataclass(frozen=True)
class Verdict:
    """What somebody decided about a task.

    Attributes:
        action: `ACCEPT`, `EDIT` or `REJECT`; "" of a simulated expert who does not know the question.
        answer: The adopted letter or text; None where there is none.
        reason: Why it was rejected, or a remark.
        active_seconds: Active time that it took, 0..86,400.
        reviewer: Who.
    """

    action: str
    answer: str | None
    reason: str
    active_seconds: float
    reviewer: str


def estimate_seconds(proposal: str | None) -> float:
    """Seconds that the review of a proposed answer, or an annotation from scratch (None), takes on average."""
    return FROM_SCRATCH_SECONDS if proposal is None else REVIEW_SECONDS


def verdict_of(
    task: ReviewTask, action: str, answer: str, reason: str, active_seconds: float, reviewer: str
) -> Verdict:
    """A person's decision, checked against its task.

    Args:
        task: What it is about.
        action: `ACCEPT`, `EDIT` or `REJECT`.
        answer: With `EDIT` the letter of an option, or the text of a description; else "".
        reason: With `REJECT` why.
        active_seconds: 0..86,400.
        reviewer: Who.

    Raises:
        InvalidArgument: They do not go together; the message says what is missing.
    """
    _require_bounds(answer, reason, active_seconds, reviewer)
    if action == ACCEPT:
        if task.proposal is None:
            raise InvalidArgument("Nothing is proposed here.", field="action", value=action, remedy="Edit or reject.")
        if answer not in ("", task.proposal):
            raise InvalidArgument(
                "Who accepts gives no other answer.", field="answer", value=answer[:20], remedy="Use edit to change it."
            )
        return Verdict(action, task.proposal, reason, active_seconds, reviewer)
    if action == EDIT:
        if task.options and answer not in task.options:
            letters = ", ".join(sorted(task.options))
            raise InvalidArgument(
                "The answer is no option.", field="answer", value=answer[:20], remedy=f"Use one of {letters}."
            )
        if not answer.strip():
            raise InvalidArgument("Who edits gives an answer.", field="answer", remedy="Write it, or reject.")
        return Verdict(action, answer, reason, active_seconds, reviewer)
    if action != REJECT:
        raise InvalidArgument(
            "No such action.", field="action", value=action[:20], remedy="Use accept, edit or reject."
        )
    if not reason.strip():
        raise InvalidArgument("A rejection needs a reason.", field="reason", remedy="Say why in a few words.")
    if answer:
        raise InvalidArgument(
            "Who rejects gives no answer.", field="answer", value=answer[:20], remedy="Use edit to change it."
        )
    return Verdict(action, None, reason, active_seconds, reviewer)


def _require_bounds(answer: str, reason: str, active_seconds: float, reviewer: str) -> None:
    for field, text, most in (("answer", answer, MOST_ANSWER_CHARACTERS), ("reason", reason, MOST_REASON_CHARACTERS)):
        if len(text) > most:
            raise InvalidArgument(
                "The text is too long.", field=field, value=f"{len(text)} characters", remedy=f"At most {most}."
            )
    if not 0 <= active_seconds <= MOST_SECONDS:
        raise InvalidArgument(
            "The time is out of range.", field="active_seconds", value=active_seconds, remedy="Give 0..86400 seconds."
        )
    if not reviewer:
        raise InvalidArgument("A decision is somebody's.", field="reviewer", remedy="Name the reviewer.")
