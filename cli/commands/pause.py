"""`medq pause` and `medq resume`: have a run begin no further step, and let it go on."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.access import Access
from cli.connection import connect
from cli.follow import run_title
from cli.options import Json, Out
from cli.output import console, print_json, shown_errors
from medq.controller.v1 import controller_pb2
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from shared.rpc.as_json import to_json

Run = Annotated[str, typer.Argument(metavar="RUN", help="The run; `medq status` names those that there are.")]
_ENDED = ("succeeded", "failed", "cancelled")


def pause(out: Out, run_id: Run, *, access: Access, is_json: Json = False) -> None:
    """Have a run begin no further step: what is at work goes on to its end, then the run is paused, over restarts too.

    For a run that a process works on: of `medq serve`, of `medq run` in another terminal, or behind --server.
    """
    with shown_errors(is_json), connect(out, access, may_start=False) as channels:
        stub = ControllerServiceStub(channels["controller"])
        answer = stub.PauseRun(controller_pb2.PauseRunRequest(run_id=run_id))
    if is_json:
        print_json(to_json(answer))
        return
    run = answer.run
    is_paused = run.state == "paused"
    console.print(
        f"{run_id} is paused." if is_paused else f"{run_id} pauses when this step has ended: {run_title(run)}."
    )
    console.print("`medq resume` lets it go on.")


def resume(out: Out, run_id: Run, *, access: Access, is_json: Json = False) -> None:
    """Let a paused run go on with its next step."""
    with shown_errors(is_json), connect(out, access, may_start=False) as channels:
        stub = ControllerServiceStub(channels["controller"])
        answer = stub.ResumeRun(controller_pb2.ResumeRunRequest(run_id=run_id))
    if is_json:
        print_json(to_json(answer))
    elif answer.run.state in _ENDED:
        console.print(f"{run_id} has ended ({answer.run.state}), so nothing was paused.")
    else:
        console.print(f"{run_id} goes on.")
