"""After each evaluation: does the arm go on? And the note, with its event, that a round has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from medq.controller.v1.events_pb2 import RoundCompleted
from services.controller.configuration.models import RunConfiguration, StopSection
from services.controller.domain.detection import measured_detectable_gain
from services.controller.domain.gains import Gains, paired_gains
from services.controller.domain.ledger import Limits, is_spent
from services.controller.domain.plateau import OVERALL, Regression, is_plateau, regression_gate, verdict_on
from services.controller.domain.promotion import best_rounds
from services.controller.domain.seeds import derive_seed
from services.controller.loop.calls import Calls
from services.controller.ports import StepOutcome
from services.controller.report.facts import promoted_scores
from services.controller.store.runs import Result, model_of
from shared.events.bus import event_of
from shared.objects.dataset import read_rows
from shared.rows.evaluation import Answer, Scores
from shared.statistics import Interval

_HOUR_SECONDS = 3600.0


def limits_of(section: StopSection) -> Limits:
    """What a run may spend."""
    hours = section.max_expert_hours
    return Limits(section.max_usd, None if hours is None else hours * _HOUR_SECONDS)


def decide(calls: Calls, configuration: RunConfiguration) -> StepOutcome:
    """Whether the arm stops after the evaluation of this round.

    Returns: `reason` ("" to go on, or "regression", "plateau", "budget", "rounds", the first that holds), `is_promoted`, and
        what that rests on: `gain` and `gains_by_modality` over the round before, what that gain says (`verdict`), the smallest
        gain that it could have told (`detectable_gain`), `over_best`, `regressions`. Where a modality is not evaluated any more
        (a regression of unknown loss), the round is not promoted and the arm goes on.
    """
    stop, results = configuration.stop, calls.collaborators.store.results(calls.run_id)
    evaluations = _Evaluations(calls, configuration, results)
    gains = evaluations.gains_over(calls.round - 1) if calls.round else None
    promoted = promoted_scores(calls.collaborators.objects, results, calls.arm)
    earlier = {number: scores for number, scores in promoted.items() if number < calls.round}
    over_best = evaluations.gains_over_best(earlier)
    lost = _regressions(over_best, stop)
    history = [*_earlier_gains(calls, results), gains.overall] if gains else []
    if any(one.loss is not None for one in lost):
        reason = "regression"
    elif is_plateau(history, **_limits(stop), patience=stop.patience):
        reason = "plateau"
    elif is_spent(limits_of(stop), *calls.collaborators.ledger.committed(calls.run_id)):
        reason = "budget"
    else:
        reason = "rounds" if calls.round >= configuration.rounds else ""
    outcome: StepOutcome = {
        "reason": reason,
        "is_promoted": not lost,
        **_gained(gains, stop),
        "over_best": {name: {"round": best, "gain": asdict(gain)} for name, (best, gain) in over_best.items()},
        "regressions": [asdict(one) for one in lost],
    }
    calls.collaborators.store.record(calls.run_id, Result(calls.arm, calls.round, "decide", detail=outcome))
    return outcome


def _limits(stop: StopSection) -> dict[str, float]:
    return {"minimum_gain": stop.min_gain, "excluded_gain": stop.excluded_gain}


def _gained(gains: Gains | None, stop: StopSection) -> StepOutcome:
    """What a round gained over the one before, and what that says; nothing for the base model."""
    return {
        "gain": asdict(gains.overall) if gains else None,
        "gains_by_modality": {name: asdict(gain) for name, gain in gains.by_modality.items()} if gains else {},
        "correlation": gains.correlation if gains else None,
        "verdict": verdict_on(gains.overall, **_limits(stop)) if gains else None,
        "detectable_gain": measured_detectable_gain(gains.overall) if gains else None,
    }


class _Evaluations:
    """The answers of this arm on dev, and what the round at work gained over earlier ones; each is read once."""

    def __init__(self, calls: Calls, configuration: RunConfiguration, results: Sequence[Result]) -> None:
        self._objects, self._now = calls.collaborators.objects, calls.round
        self._seed = derive_seed(configuration.seed, calls.arm, calls.round, "decide")
        self._uris = {
            result.round: result.uri for result in results if (result.arm, result.step) == (calls.arm, "evaluate_dev")
        }
        self._gains: dict[int, Gains] = {}

    def gains_over(self, number: int) -> Gains:
        """The gains of the round at work over an earlier one."""
        if number not in self._gains:
            before, after = (read_rows(self._objects, self._uris[place], Answer) for place in (number, self._now))
            self._gains[number] = paired_gains(before, after, seed=self._seed)
        return self._gains[number]

    def gains_over_best(self, promoted: Mapping[int, Scores]) -> dict[str, tuple[int, Interval]]:
        """`overall` and each modality to the promoted round that was best at it, and the gain over that; none without one."""
        if not promoted:
            return {}
        best = best_rounds(promoted)
        found = {OVERALL: (best.overall, self.gains_over(best.overall).overall)}
        for name, number in best.by_modality.items():
            own = self.gains_over(number).by_modality
            if name in own:  # else nothing of it could be paired there either
                found[name] = (number, own[name])
        return found


def _regressions(over_best: Mapping[str, tuple[int, Interval]], stop: StopSection) -> tuple[Regression, ...]:
    gains = {name: gain for name, (_, gain) in over_best.items()}
    overall = {OVERALL: gains.pop(OVERALL)} if gains else {}
    return (
        *regression_gate(overall, allowance=stop.overall_allowance),
        *regression_gate(gains, allowance=stop.modality_allowance),
    )


def _earlier_gains(calls: Calls, results: Sequence[Result]) -> list[Interval]:
    """The gains of the rounds before this one, oldest first."""
    decided = [
        result
        for result in results
        if (result.arm, result.step) == (calls.arm, "decide") and 0 < result.round < calls.round
    ]
    return [Interval(**result.detail["gain"]) for result in sorted(decided, key=lambda result: result.round)]


def complete_round(calls: Calls, model: str, sequence: int) -> StepOutcome:
    """Note the end of a round after which the arm goes on with a model, and publish it in the same transaction."""
    message = RoundCompleted(arm=calls.arm, round=calls.round, model_uri=model)
    _publish(calls, Result(calls.arm, calls.round, "complete", detail={"reason": ""}), message, sequence)
    return {}


def end_arm(calls: Calls, sequence: int, reason: str) -> StepOutcome:
    """Note why an arm ended and which model comes out: that of its best promoted round, the base model where none was decided."""
    results = calls.collaborators.store.results(calls.run_id)
    promoted = promoted_scores(calls.collaborators.objects, results, calls.arm)
    number = best_rounds(promoted).overall if promoted else 0
    model = model_of(results, calls.arm, number)
    message = RoundCompleted(arm=calls.arm, round=calls.round, model_uri=model, is_last=True, promoted_round=number)
    result = Result(calls.arm, calls.round, "stop", uri=model, detail={"reason": reason, "promoted_round": number})
    _publish(calls, result, message, sequence)
    return {}


def _publish(calls: Calls, result: Result, message: RoundCompleted, sequence: int) -> None:
    event = event_of(
        message,
        (calls.run_id, calls.arm, calls.round),
        key=calls.run_id,
        run_id=calls.run_id,
        round=calls.round,
        operation_id=calls.run_id,
        sequence=sequence,
    )
    calls.collaborators.store.record(calls.run_id, result, event)
