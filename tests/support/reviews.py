"""Tasks for experts."""

from __future__ import annotations

from typing import Any

from services.oracle.domain.review import ReviewTask, Verdict

_TASK: dict[str, Any] = {
    "work_id": "work", "run_id": "run", "arm": "arm", "round": 1, "decision_id": "d-0", "ledger_key": "run/arm/1/expert/d-0",
    "question_id": "image/question", "image_id": "0" * 64, "image_uri": "sha256:" + "0" * 64, "modality": "ct",
    "question": "What is wrong?", "options": {"A": "Noise", "B": "Blur"}, "proposal": "A", "self_answer": "B",
    "entropy": 0.25, "reference_answer": "A", "agreement": 0.0, "route": "expert", "route_reason": "",
    "estimate_seconds": 30.0,
}  # fmt: skip


def review_task(number: int = 0, **changes: Any) -> ReviewTask:
    """A task; with another number another decision."""
    named = {"decision_id": f"d-{number}", "ledger_key": f"run/arm/1/expert/d-{number}"}
    return ReviewTask(**{**_TASK, **named, **changes})


def review_tasks(count: int, **changes: Any) -> list[ReviewTask]:
    """So many tasks of one work."""
    return [review_task(number, **changes) for number in range(count)]


def accepted(reviewer: str = "ann", seconds: float = 12.5) -> Verdict:
    """A decision that accepts what is proposed."""
    return Verdict("accept", "A", "", seconds, reviewer)
