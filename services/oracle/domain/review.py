"""A task for an expert, and what a decision about it must be. Knows neither the queue nor who decides."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from services.oracle.domain.annotation import AUDIT, ReviewTask
from shared.errors import InvalidArgument

ACCEPT: Final = "accept"
EDIT: Final = "edit"
REJECT: Final = "reject"
#: Who decides: people, or the program that stands in for them.
PEOPLE: Final = "review"
SIMULATED: Final = "simulated"
#: Places in the queue: what shows whether a reviewer knows the matter, what cannot go on without an expert, and what is looked
#: at to measure the rest.
CALIBRATION_FIRST: Final = 0
NEEDED_NEXT: Final = 1
AUDITED_LAST: Final = 2
#: How many have been asked about a question with this one.
FIRST: Final = 1
SECOND: Final = 2
THIRD: Final = 3
#: Longest description, longest reason, in characters, and the longest time that one decision may take, in seconds.
MOST_ANSWER_CHARACTERS = 20_000
MOST_REASON_CHARACTERS = 2_000
MOST_SECONDS = 86_400.0
#: Average time of a review and of an annotation from scratch (Table 3 of the paper: 0.5 and 5.1 minutes).
REVIEW_SECONDS = 30.0
FROM_SCRATCH_SECONDS = 306.0


@dataclass(frozen=True)
class Simulation:
    """What the simulated expert stands on: `sha256:<hex>` of the known answers, their accuracy 0..1, and the seed."""

    known_answers_uri: str
    accuracy: float
    seed: int


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


@dataclass(frozen=True)
class QueueEntry:
    """A task for an expert as it is queued; it never changes.

    Attributes:
        work_id: The work that asks.
        run_id, arm, round: Whose it is.
        ledger_key: Of its cost.
        asked: What is to be decided.
        estimate_seconds: Seconds of an expert that are reserved for it.
        expert: `PEOPLE` or `SIMULATED`.
        simulation: What a simulated expert stands on; None for people.
        clean_neighbours, similar_failures: URIs of images to compare with, the nearest first.
        opinion: `FIRST`, `SECOND` or `THIRD`: how many are asked about it, each another one.
        is_overlapped: Whether two are.
        opinions: Of the third one: what the two have said.
        is_blind: Whether nobody's answer is shown until it is decided.
        planted: The letter of a wrong option that is shown as the proposal; "" for none.
        known_answer: The letter of the answer that is known, of a question that calibrates a reviewer; "" for none.
        is_reference_simulated: Whether the oracle's answer is a simulated oracle's.
    """

    work_id: str
    run_id: str
    arm: str
    round: int
    ledger_key: str
    asked: ReviewTask
    estimate_seconds: float
    expert: str = PEOPLE
    simulation: Simulation | None = None
    clean_neighbours: tuple[str, ...] = ()
    similar_failures: tuple[str, ...] = ()
    opinion: int = FIRST
    is_overlapped: bool = False
    opinions: tuple[Verdict, ...] = ()
    is_blind: bool = False
    planted: str = ""
    known_answer: str = ""
    is_reference_simulated: bool = False

    @property
    def task_id(self) -> str:
        """32 hex digits, from the work, the decision and the opinion."""
        name = f"{self.work_id}/{self.asked.decision_id}"
        return _digest(name if self.opinion == FIRST else f"{name}/{self.opinion}")

    @property
    def item(self) -> str:
        """What several opinions are on, 32 hex digits; "" where one alone is asked for."""
        return _digest(f"{self.work_id}/{self.asked.decision_id}") if self.is_overlapped else ""

    def ledger_key_at(self, revision: int) -> str:
        """The key of what one time of being open costs: who decides again spends time again."""
        return self.ledger_key if revision == 1 else f"{self.ledger_key}/{revision}"

    @property
    def priority(self) -> int:
        """Its place in the queue, the lower the sooner."""
        if self.known_answer:
            return CALIBRATION_FIRST
        return AUDITED_LAST if self.asked.route == AUDIT else NEEDED_NEXT


def review_seconds(task: ReviewTask) -> float:
    """The paper's average for a task, which is reserved until it is decided."""
    return FROM_SCRATCH_SECONDS if task.proposal is None else REVIEW_SECONDS


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
        if task.question.options and answer not in task.question.options:
            letters = ", ".join(sorted(task.question.options))
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


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


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
