"""Why an arm of a run stopped, in words for people; the keys are those of `report.json`."""

from __future__ import annotations

STOP_REASONS = {
    "regression": "regression: the last round made the model worse",
    "plateau": "plateau: the last rounds gained too little",
    "budget": "the budget is spent",
    "rounds": "all rounds are done",
    "no_failures": "the model fails at nothing on dev",
    "no_samples": "no image of the pool could be drawn",
    "no_decisions": "no question was answered",
    "no_training_samples": "quality assurance left nothing to train on",
}


def told(reason: str | None) -> str:
    """The words for a reason; None: the arm is at work."""
    return "it has not" if reason is None else STOP_REASONS.get(reason, reason)
