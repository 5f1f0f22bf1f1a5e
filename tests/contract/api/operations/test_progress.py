"""Progress is seen, and an operation is called off."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

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
