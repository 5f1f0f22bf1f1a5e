"""After each evaluation: does the arm go on? And the note, with its event, that a round has ended."""

from __future__ import annotations

from datetime import UTC, datetime

from medq.controller.v1.events_pb2 import RoundCompleted
from services.controller.calls import Calls
from services.controller.configuration import RunConfiguration, StopSection
from services.controller.domain.ledger import Limits, is_spent
from services.controller.ports import StepOutcome
from services.controller.store import Result
from shared.events.bus import Event, event_id

ROUND_COMPLETED = "medq.controller.round-completed.v1"
_HOUR_SECONDS = 3600.0


def limits_of(section: StopSection) -> Limits:
    """What a run may spend."""
    hours = section.max_expert_hours
    return Limits(section.max_usd, None if hours is None else hours * _HOUR_SECONDS)


def decide(calls: Calls, configuration: RunConfiguration) -> StepOutcome:
    """Whether the arm stops after the evaluation of this round.

    Returns: `reason` ("" to go on, "regression", "plateau", "budget", "rounds"), and what it rests on.
    """
    outcome: StepOutcome = {"reason": "", "is_promoted": True}
    if is_spent(limits_of(configuration.stop), *calls.with_.ledger.committed(calls.run_id)):
        outcome["reason"] = "budget"
    elif calls.round >= configuration.rounds:
        outcome["reason"] = "rounds"
    calls.with_.store.record(calls.run_id, Result(calls.arm, calls.round, "decide", detail=outcome))
    return outcome


def complete_round(calls: Calls, model: str, sequence: int, reason: str) -> StepOutcome:
    """Note the end of a round, and of the arm where there is a reason, and publish it in the same transaction."""
    step = "stop" if reason else "complete"
    body = RoundCompleted(arm=calls.arm, round=calls.round, model_uri=model, is_last=bool(reason))
    event = Event(
        id=event_id(ROUND_COMPLETED, calls.run_id, calls.arm, calls.round),
        type=ROUND_COMPLETED,
        source="medq/controller",
        key=calls.run_id,
        data=body.SerializeToString(deterministic=True),
        time=datetime.now(UTC),
        run_id=calls.run_id,
        round=calls.round,
        operation_id=calls.run_id,
        sequence=sequence,
    )
    calls.with_.store.record(
        calls.run_id, Result(calls.arm, calls.round, step, detail={"reason": reason}), event
    )
    return {}
