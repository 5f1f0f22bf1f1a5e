"""Runs as messages: where each stands, its scores so far, and what it has cost."""

from __future__ import annotations

from collections.abc import Sequence

from medq.controller.v1 import controller_pb2 as pb
from services.controller.report.facts import EVALUATIONS
from services.controller.store.ledger import Ledger
from services.controller.store.runs import Result, RunRow, RunStore
from shared.operation_table import PENDING, WAITING, Operation

#: The figures of a score that a `RoundScore` has.
_FIGURES = ("value", "low", "high", "n", "unscored", "scored", "coverage")


def run_messages(operations: Sequence[Operation], store: RunStore, ledger: Ledger) -> list[pb.Run]:
    """Runs as they are told, by a few queries for all of them.

    Args:
        operations: The runs.
        store: What their steps gave.
        ledger: What they cost.
    """
    run_ids = [operation.operation_id for operation in operations]
    rows, costs, paused = store.find_all(run_ids), ledger.committed_by_run(run_ids), store.paused(run_ids)
    results, times = store.results_of(run_ids, EVALUATIONS), store.times_of(run_ids)
    messages = []
    for operation in operations:
        run_id = operation.operation_id
        is_pause_asked = run_id in paused and not operation.is_terminal
        state = _state(operation, rows.get(run_id), is_pause_asked)
        message = pb.Run(run_id=run_id, state=state, is_pause_asked=is_pause_asked)
        message.create_time.FromNanoseconds(int(operation.created_at * 1e9))
        message.usd, message.expert_seconds, message.is_cost_simulated = costs.get(run_id, (0.0, 0.0, False))
        if run_id in rows:
            _fill(message, rows[run_id], results[run_id])
            message.step_times.extend(_time(result) for result in times[run_id])
        if operation.failure:
            message.message = operation.failure["message"]
        messages.append(message)
    return messages


def _state(operation: Operation, run: RunRow | None, is_pause_asked: bool) -> str:
    """The state of a run: what no process has in hand waits for people only where a step of it is at work."""
    has_step_at_work = run is not None and bool(run.operation_id)
    if operation.state in (PENDING, WAITING) and not has_step_at_work:
        return "paused" if is_pause_asked else PENDING
    return operation.state


def _fill(message: pb.Run, run: RunRow, evaluations: Sequence[Result]) -> None:
    message.arm, message.round, message.step = run.arm, run.round, run.step
    message.operation_id, message.service, message.message = run.operation_id, run.service, run.message
    for result in evaluations:
        if "overall" in result.detail:
            score = result.detail["overall"]
            message.scores.add(
                arm=result.arm,
                round=result.round,
                split=result.step.removeprefix("evaluate_"),
                **{name: score.get(name) for name in _FIGURES},
            )


def _time(result: Result) -> pb.StepTime:
    message = pb.StepTime(step=result.step)
    message.begin_time.FromNanoseconds(int((result.began_at or 0) * 1e9))
    message.end_time.FromNanoseconds(int((result.ended_at or 0) * 1e9))
    return message
