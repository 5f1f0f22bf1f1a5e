"""Tasks for experts."""

from __future__ import annotations

from typing import Any

from services.oracle.domain.annotation import ReviewTask
from services.oracle.domain.review import QueueEntry, Verdict
from shared.rows.annotation import Question

IMAGE_URI = "sha256:" + "0" * 64
_QUESTION: dict[str, Any] = {
    "question_id": "image/question", "image_uri": IMAGE_URI, "question": "What is wrong?",
    "options": {"A": "Noise", "B": "Blur"},
}  # fmt: skip
_TASK: dict[str, Any] = {
    "question_type": "what", "attribute": "", "modality": "ct", "reference_answer": "A", "self_answer": "B", "proposal": "A",
    "entropy": 0.25, "agreement": 0.0, "route": "expert", "route_reason": "",
}  # fmt: skip
_ENTRY: dict[str, Any] = {"work_id": "work", "run_id": "run", "arm": "arm", "round": 1, "estimate_seconds": 30.0}


def review_task(number: int = 0, **changes: Any) -> ReviewTask:
    """A task; with another number another decision."""
    question = Question(**{name: changes.pop(name, value) for name, value in _QUESTION.items()})
    return ReviewTask(decision_id=f"d-{number}", question=question, **{**_TASK, **changes})


def queue_entry(number: int = 0, **changes: Any) -> QueueEntry:
    """A task as it is queued; changes are of the entry or of what is asked."""
    of_task = {name: value for name, value in changes.items() if name in _TASK or name in _QUESTION}
    of_entry = {name: value for name, value in changes.items() if name not in of_task}
    key = f"run/arm/1/expert/d-{number}"
    return QueueEntry(**{"ledger_key": key, **_ENTRY, **of_entry}, asked=review_task(number, **of_task))


def queue_entries(count: int, **changes: Any) -> list[QueueEntry]:
    """So many tasks of one work."""
    return [queue_entry(number, **changes) for number in range(count)]


def accepted(reviewer: str = "ann", seconds: float = 12.5) -> Verdict:
    """A decision that accepts what is proposed."""
    return Verdict("accept", "A", "", seconds, reviewer)
