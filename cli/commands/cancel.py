"""`medq cancel`: call a run off."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.access import Access
from cli.connection import connect
from cli.options import Json, Out
from cli.output import console, print_json, shown_errors
from medq.operations.v1.operations_pb2 import OPERATION_STATE_CANCELLED, CancelOperationRequest
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from shared.rpc.as_json import to_json
from shared.rpc.operations import TERMINAL_STATES

Run = Annotated[str, typer.Argument(metavar="RUN", help="The run; `medq status` names those that there are.")]


def cancel(out: Out, run_id: Run, *, access: Access, is_json: Json = False) -> None:
    """Call a run off, with the step that is at work; what has ended is kept, and the same run may be started again.

    For a run that a process works on: of `medq serve`, of `medq run` in another terminal, or behind --server.
    """
    with shown_errors(is_json), connect(out, access, may_start=False) as channels:
        stub = OperationsServiceStub(channels["controller"])
        answer = stub.CancelOperation(CancelOperationRequest(operation_id=run_id))
    if is_json:
        print_json(to_json(answer))
        return
    state = answer.operation.state
    if state in TERMINAL_STATES and state != OPERATION_STATE_CANCELLED:
        console.print(f"{run_id} had ended before, so nothing was called off.")
    else:
        console.print(f"{run_id} is called off; the step at work leaves within seconds.")
