"""`medq status`: where the runs of a folder or a server stand."""

from __future__ import annotations

from typing import Any

from cli.access import Access
from cli.connection import connect
from cli.follow import held_up, operation_of, run_title
from cli.options import Json, Out
from cli.output import print_json, print_table, shown_errors
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from medq.operations.v1 import operations_pb2
from shared.rpc.as_json import to_json
from shared.rpc.channels import Channels


def status(out: Out, *, access: Access, is_json: Json = False) -> None:
    """Show where each run stands, from any terminal, whether or not a process works on the folder."""
    with shown_errors(is_json), connect(out, access, may_start=False) as channels:
        stub = controller_pb2_grpc.ControllerServiceStub(channels["controller"])
        runs = list(stub.ListRuns(controller_pb2.ListRunsRequest()).runs)
        work = {run.run_id: _operation(channels, run) for run in runs}
        if is_json:
            print_json({"runs": [_as_json(run, work[run.run_id]) for run in runs]})
            return
        rows = [
            (run.run_id, _state(run), run_title(run), _progress(work[run.run_id]), _latest(run), run.message)
            for run in runs
        ]
        print_table("Runs", ("run", "state", "at", "progress", "latest test", "message"), rows)


def _state(run: controller_pb2.Run) -> str:
    is_pausing = run.is_pause_asked and run.state in ("pending", "running", "waiting")
    return f"{run.state}, pauses after this step" if is_pausing else run.state


def _operation(channels: Channels, run: controller_pb2.Run) -> operations_pb2.Operation:
    """The operation that a run waits on; empty when it waits on none."""
    if run.state not in ("running", "waiting") or not run.operation_id:
        return operations_pb2.Operation()
    return operation_of(channels, run)


def _progress(operation: operations_pb2.Operation) -> str:
    progress = operation.progress
    if not progress.total:
        return progress.message
    return "; ".join(filter(None, [f"{progress.done}/{progress.total} {progress.unit}", held_up(operation)]))


def _latest(run: controller_pb2.Run) -> str:
    scores = [score for score in run.scores if score.split == "test" and score.HasField("value")]
    if not scores:
        return "-"
    last = scores[-1]
    return f"{last.value:.3f} ({last.arm}, round {last.round})"


def _as_json(run: controller_pb2.Run, operation: operations_pb2.Operation) -> dict[str, Any]:
    return {**to_json(run), "operation": to_json(operation)}
