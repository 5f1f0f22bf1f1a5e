"""How people are measured at the queue: blind questions, planted errors, and questions whose answer is known.

Which questions, is drawn by key. Descriptions are left out: whether two of them say the same is no matter of looking.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.oracle.domain.annotation import ReviewTask
from services.oracle.domain.audit import is_drawn
from services.oracle.domain.opinions import with_second_opinions
from services.oracle.domain.review import ACCEPT, EDIT, FROM_SCRATCH_SECONDS, QueueEntry, Verdict
from services.oracle.domain.signals import REVIEW
from shared.rows.annotation import Question
from shared.rows.benchmark import Item

#: Most questions with known answers that a reviewer answers first.
MOST_CALIBRATION_TASKS: Final = 100
#: Why a question has no answer whose planted error an expert took for right.
PLANT_ACCEPTED: Final = "the expert accepted an error that was planted to see whether they look"


@dataclass(frozen=True)
class Shares:
    """How much of what people review measures them: shares 0..1 of the questions with options."""

    overlap: float = 0.0
    blind: float = 0.0
    planted: float = 0.0


def measured(entries: Sequence[QueueEntry], shares: Shares, seed: int) -> list[QueueEntry]:
    """Tasks with those marked that measure who decides, and second opinions; a planted one is neither blind nor overlapped."""
    marked = [_marked(entry, shares, seed) for entry in entries]
    return with_second_opinions(marked, shares.overlap, seed)


def shown(entry: QueueEntry, *, is_told: bool) -> ReviewTask:
    """What a task shows: a planted error as the proposal, and of a blind one nobody's answer, unless it may be told by now."""
    asked = entry.asked
    if entry.is_blind and not is_told:
        return replace(asked, proposal=None, reference_answer=None, self_answer=None, entropy=None, agreement=None)
    if not entry.planted:
        return asked
    plant, is_own = entry.planted, asked.proposal == asked.self_answer != asked.reference_answer
    own, reference = (plant, asked.reference_answer) if is_own else (asked.self_answer, plant)
    agreement = None if own is None else float(own == reference)
    return replace(asked, proposal=plant, self_answer=own, reference_answer=reference, agreement=agreement)


def effective(entry: QueueEntry, verdict: Verdict) -> Verdict | None:
    """What a decision says about the proposal as it was, whatever was shown; None for an error that was taken for right."""
    if entry.planted and verdict.answer == entry.planted:
        return None
    is_as_proposed = verdict.action == EDIT and verdict.answer == entry.asked.proposal
    return replace(verdict, action=ACCEPT) if is_as_proposed else verdict


def calibration_entries(items: Iterable[Item], count: int, seed: int, run_id: str, arm: str) -> list[QueueEntry]:
    """The questions that each reviewer of a run answers first: of the dev set, drawn by key, with their known answers."""
    with_options = [item for item in items if item.options]
    with_options.sort(key=lambda item: _digest(f"calibration/{seed}/{item.item_id}"))
    return [_calibration(item, run_id, arm) for item in with_options[:count]]


def calibration_of(entry: QueueEntry, reviewer: str) -> QueueEntry:
    """A question with a known answer, for one reviewer."""
    decision_id = _digest(f"{entry.asked.decision_id}/{reviewer}")
    key = f"{entry.run_id}/calibration/{decision_id}"
    return replace(entry, asked=replace(entry.asked, decision_id=decision_id), ledger_key=key)


def calibration_work(run_id: str) -> str:
    """The work that the questions with known answers of a run belong to; nothing waits for it."""
    return f"calibration/{run_id}"


def _marked(entry: QueueEntry, shares: Shares, seed: int) -> QueueEntry:
    asked = entry.asked
    if not asked.question.options:
        return entry
    if asked.proposal is not None and is_drawn("planted", seed, asked.decision_id, shares.planted):
        said = {asked.proposal, asked.self_answer, asked.reference_answer}
        wrong = sorted(
            asked.question.options.keys() - said, key=lambda letter: _digest(f"{asked.decision_id}/{letter}")
        )
        if wrong:
            return replace(entry, planted=wrong[0])
    return replace(entry, is_blind=is_drawn("blind", seed, asked.decision_id, shares.blind))


def _calibration(item: Item, run_id: str, arm: str) -> QueueEntry:
    question = Question(
        question_id=item.item_id, image_uri=item.image_uri, question=item.question, options=item.options
    )
    asked = ReviewTask(
        decision_id=item.item_id,
        question=question,
        question_type=item.question_type,
        attribute=item.attribute,
        modality=item.modality,
        reference_answer=None,
        self_answer=None,
        proposal=None,
        entropy=None,
        agreement=None,
        route=REVIEW,
        route_reason="",
    )
    return QueueEntry(
        calibration_work(run_id), run_id, arm, 0, "", asked, FROM_SCRATCH_SECONDS, known_answer=item.answer
    )


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
