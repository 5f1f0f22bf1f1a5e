"""After each evaluation: does the arm go on? And the note, with its event, that a round has ended."""

from __future__ import annotations

from dataclasses import asdict

from medq.controller.v1.events_pb2 import RoundCompleted
from services.controller.configuration.models import RunConfiguration, StopSection
from services.controller.domain.gains import Gains, paired_gains
from services.controller.domain.ledger import Limits, is_spent
from services.controller.domain.plateau import is_plateau, regression_gate
from services.controller.domain.seeds import derive_seed
from services.controller.loop.calls import Calls
from services.controller.ports import StepOutcome
from services.controller.store.runs import Result
from shared.events.bus import event_of
from shared.objects.dataset import read_rows
from shared.rows.evaluation import Answer
from shared.statistics import Interval

_HOUR_SECONDS = 3600.0


def limits_of(section: StopSection) -> Limits:
    """What a run may spend."""
    hours = section.max_expert_hours
    return Limits(section.max_usd, None if hours is None else hours * _HOUR_SECONDS)


def decide(calls: Calls, configuration: RunConfiguration) -> StepOutcome:
    """Whether the arm stops after the evaluation of this round.

    Returns: `reason` ("" to go on, or "regression", "plateau", "budget", "rounds", the first that holds), `is_promoted`, and
        what that rests on: `gain` and `gains_by_modality` over the round before, `regressions`. Where a modality is not
        evaluated any more (a regression of unknown loss), the round is not promoted and the arm goes on.
    """
    stop = configuration.stop
    gains = _gains(calls, configuration)
    lost = regression_gate(gains.by_modality, allowance=stop.modality_allowance) if gains else ()
    history = [*_earlier_gains(calls), gains.overall] if gains else []
    if any(one.loss is not None for one in lost):
        reason = "regression"
    elif is_plateau(history, minimum_gain=stop.min_gain, patience=stop.patience):
        reason = "plateau"
    elif is_spent(limits_of(stop), *calls.collaborators.ledger.committed(calls.run_id)):
        reason = "budget"
    else:
        reason = "rounds" if calls.round >= configuration.rounds else ""
    gained = asdict(gains) if gains else {"overall": None, "by_modality": {}}
    outcome: StepOutcome = {
        "reason": reason,
        "is_promoted": not lost,
        "gain": gained["overall"],
        "gains_by_modality": gained["by_modality"],
        "regressions": [asdict(one) for one in lost],
    }
    calls.collaborators.store.record(calls.run_id, Result(calls.arm, calls.round, "decide", detail=outcome))
    return outcome


def _gains(calls: Calls, configuration: RunConfiguration) -> Gains | None:
    """The gains of this round over the one before; None for the base model."""
    if calls.round == 0:
        return None
    uris = {
        result.round: result.uri
        for result in calls.collaborators.store.results(calls.run_id)
        if (result.arm, result.step) == (calls.arm, "evaluate_dev")
    }
    before, after = (
        read_rows(calls.collaborators.objects, uris[number], Answer) for number in (calls.round - 1, calls.round)
    )
    return paired_gains(before, after, seed=derive_seed(configuration.seed, calls.arm, calls.round, "decide"))


def _earlier_gains(calls: Calls) -> list[Interval]:
    """The gains of the rounds before this one, oldest first."""
    decided = [
        result
        for result in calls.collaborators.store.results(calls.run_id)
        if (result.arm, result.step) == (calls.arm, "decide") and 0 < result.round < calls.round
    ]
    return [Interval(**result.detail["gain"]) for result in sorted(decided, key=lambda result: result.round)]


def complete_round(calls: Calls, model: str, sequence: int, reason: str) -> StepOutcome:
    """Note the end of a round, and of the arm where there is a reason, and publish it in the same transaction."""
    step = "stop" if reason else "complete"
    message = RoundCompleted(arm=calls.arm, round=calls.round, model_uri=model, is_last=bool(reason))
    event = event_of(
        message,
        (calls.run_id, calls.arm, calls.round),
        key=calls.run_id,
        run_id=calls.run_id,
        round=calls.round,
        operation_id=calls.run_id,
        sequence=sequence,
    )
    calls.collaborators.store.record(
        calls.run_id, Result(calls.arm, calls.round, step, detail={"reason": reason}), event
    )
    return {}
