"""How an operation fails, and which outages do not end it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
import structlog

from medq.operations.v1 import operations_pb2 as pb
from medq.operations.v1 import operations_pb2_grpc as pb_grpc
from medq.training.v1.training_pb2 import StartImportModelRequest
from shared.errors import InvalidArgument, MedqError, Unavailable
from shared.operation_context import OperationContext
from shared.operation_work import pause_seconds
from shared.rpc.operations import await_operation
from tests.support.operation_part import Function, named, until_terminal


def test_a_typed_failure_reaches_the_caller(served: Callable[[Function], Any]) -> None:
    def fail(context: OperationContext, request: StartImportModelRequest) -> str:
        raise InvalidArgument("No weights.", field="folder_uri", value="f", remedy="Add them.")

    operations, server = served(fail)
    with server as channel:
        operations.start(named("a"))
        with pytest.raises(InvalidArgument) as caught:
            await_operation(channel, "a")
        assert caught.value.remedy == "Add them."


def test_an_outage_of_what_it_stands_on_does_not_end_an_operation(served: Callable[[Function], Any]) -> None:
    outages = [Unavailable("The object store does not answer."), Unavailable("Nor now.")]

    def work(context: OperationContext, request: StartImportModelRequest) -> str:
        if outages:
            raise outages.pop(0)
        return "sha256:done"

    operations, server = served(work)
    with server as channel:
        operations.start(named("op"))
        done = await_operation(channel, "op")
    assert done.result_uri == "sha256:done"


def test_an_outage_is_waited_for_longer_and_longer() -> None:
    assert [pause_seconds(n) for n in (1, 2, 3, 6, 7, 99)] == [1, 2, 4, 32, 60, 60]


def test_a_resting_operation_says_what_it_waits_for_and_ends_at_once_when_it_is_called_off(
    served: Callable[[Function], Any],
) -> None:
    def work(context: OperationContext, request: StartImportModelRequest) -> str:
        raise Unavailable("The oracle is down.")

    operations, server = served(work)
    with server:
        operations.start(named("a"))
        found, seen = operations.get("a"), 0
        while not (found.state == "pending" and found.message):
            found = operations.wait("a", seen, 5.0, lambda: True)
            seen = found.revision
        assert "The oracle is down." in found.message
        assert "tries again in" in found.message
        operations.cancel("a")
        assert until_terminal(operations, "a").state == "cancelled"


@pytest.mark.parametrize("is_neighbour", [True, False])
def test_what_a_neighbour_refuses_is_no_defect_here(served: Callable[[Function], Any], is_neighbour: bool) -> None:
    channels: list[grpc.Channel] = []

    def work(context: OperationContext, request: StartImportModelRequest) -> str:
        if not is_neighbour:
            raise ValueError
        pb_grpc.OperationsServiceStub(channels[0]).GetOperation(pb.GetOperationRequest(operation_id="missing"))
        return ""

    operations, running_service = served(work)
    with running_service as channel, structlog.testing.capture_logs() as entries:
        channels.append(channel)
        operations.start(named("a"))
        failure = until_terminal(operations, "a").failure
    assert failure["reason"] == ("NOT_FOUND" if is_neighbour else "INTERNAL")
    assert ("operation_failed" in [entry["event"] for entry in entries]) is not is_neighbour


def test_an_untyped_failure_says_nothing_of_the_inside(served: Callable[[Function], Any]) -> None:
    def fail(context: OperationContext, request: StartImportModelRequest) -> str:
        raise RuntimeError("secret")

    operations, server = served(fail)
    with server as channel:
        operations.start(named("a"))
        with pytest.raises(MedqError) as caught:
            await_operation(channel, "a")
        assert "secret" not in str(caught.value)
