"""Progress is seen, and an operation is called off."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from medq.operations.v1 import operations_pb2 as pb
from medq.operations.v1 import operations_pb2_grpc as pb_grpc
from medq.training.v1.training_pb2 import StartImportModelRequest
from shared.errors import Cancelled
from shared.operation_context import OperationContext
from shared.rpc.operations import await_operation
from tests.support.operation_part import Function, named


def test_progress_is_seen_while_the_work_goes_on(served: Callable[[Function], Any]) -> None:
    go_on = threading.Event()

    def work(context: OperationContext, request: StartImportModelRequest) -> str:
        context.progress(3, 7, "files")
        go_on.wait(30)
        return ""

    seen: list[tuple[int, int, str]] = []

    def show(operation: pb.Operation) -> None:
        progress = operation.progress
        seen.append((progress.done, progress.total, progress.unit))
        if progress.done == 3:
            go_on.set()

    operations, server = served(work)
    with server as channel:
        operations.start(named("a"))
        await_operation(channel, "a", on_change=show)
    assert (3, 7, "files") in seen


def test_a_cancelled_operation_ends_as_cancelled(served: Callable[[Function], Any]) -> None:
    begun = threading.Event()

    def work(context: OperationContext, request: StartImportModelRequest) -> str:
        begun.set()
        for done in range(10**9):
            context.progress(done, 10**9, "steps")
        return ""

    operations, server = served(work)
    with server as channel:
        operations.start(named("a"))
        begun.wait(30)
        pb_grpc.OperationsServiceStub(channel).CancelOperation(pb.CancelOperationRequest(operation_id="a"))
        with pytest.raises(Cancelled):
            await_operation(channel, "a")


class CutsOnce(pb_grpc.OperationsServiceServicer):
    """A server that is too busy for the first call, and ends it as `shared.rpc.patience` does."""

    def __init__(self) -> None:
        self.n_calls = 0

    def WaitOperation(
        self, request: pb.WaitOperationRequest, context: grpc.ServicerContext
    ) -> pb.WaitOperationResponse:
        self.n_calls += 1
        if self.n_calls == 1:
            context.cancel()  # type: ignore[no-untyped-call]
        state = pb.OPERATION_STATE_SUCCEEDED
        done = pb.Operation(operation_id=request.operation_id, state=state, result_uri="sha256:done")
        return pb.WaitOperationResponse(operation=done)


def test_a_call_that_a_busy_server_cuts_off_is_made_again(tmp_path: Path) -> None:
    server, servicer = grpc.server(ThreadPoolExecutor(1)), CutsOnce()
    pb_grpc.add_OperationsServiceServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix:{tmp_path}/cuts.sock")
    server.start()
    with grpc.insecure_channel(f"unix:{tmp_path}/cuts.sock") as channel:
        assert await_operation(channel, "a").result_uri == "sha256:done"
    server.stop(None)
    assert servicer.n_calls == 2
