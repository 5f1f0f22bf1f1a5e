"""The calls of the operations service: one id an operation, waiting, lists, downloads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from medq.operations.v1 import operations_pb2 as pb
from medq.operations.v1 import operations_pb2_grpc as pb_grpc
from medq.training.v1.training_pb2 import StartImportModelRequest, StartTrainRequest
from shared.errors import AlreadyExists, BudgetExhausted, InvalidArgument, NotFound
from shared.objects.dataset import write_dataset
from shared.operation_context import OperationContext
from shared.rpc.operations import await_operation
from shared.status import from_rpc_error
from tests.support.operation_part import Function, Part, named, nothing, until_terminal


def test_the_same_request_twice_is_one_operation(part: Part) -> None:
    calls: list[str] = []
    operations = part.operations(lambda context, request: calls.append(request.folder_uri) or "")  # type: ignore[func-returns-value]
    operations.start(named("a"))
    until_terminal(operations, "a")
    operations.start(named("a"))
    operations.drain()
    assert calls == ["f"]


def test_the_same_id_with_another_request_is_refused(part: Part) -> None:
    operations = part.operations(nothing)
    operations.start(named("a"))
    with pytest.raises(AlreadyExists, match="another request"):
        operations.start(named("a", "g"))
    with pytest.raises(AlreadyExists):
        operations.start(StartTrainRequest(operation_id="a"))
    operations.drain()


@pytest.mark.parametrize("operation_id", ["", " x", "-x", "x" * 201, "ä"])
def test_an_id_of_the_wrong_form_is_refused(part: Part, operation_id: str) -> None:
    operations = part.operations(nothing)
    with pytest.raises(InvalidArgument, match="id"):
        operations.start(named(operation_id))
    operations.drain()


def test_more_waiters_than_allowed_are_told_to_come_back(served: Callable[[Function], Any]) -> None:
    release = threading.Event()
    begun = threading.Event()

    def hold(context: OperationContext, request: StartImportModelRequest) -> str:
        begun.set()
        release.wait(30)
        return ""

    operations, server = served(hold)  # four threads: one may wait
    with server as channel:
        operations.start(named("a"))
        begun.wait(30)
        stub = pb_grpc.OperationsServiceStub(channel)
        seen = operations.get("a").revision
        request = pb.WaitOperationRequest(operation_id="a", seen_revision=seen, wait=Duration(seconds=20))
        waiting = [stub.WaitOperation.future(request) for _ in range(2)]
        errors = [future.exception() for future in _first_done(waiting)]
        assert isinstance(from_rpc_error(errors[0]), BudgetExhausted)
        release.set()
        assert [future.exception() for future in waiting].count(None) == 1


def _first_done(futures: list[Any]) -> list[Any]:
    """The first future that is done, without waiting for the others."""
    done: list[Any] = []
    ready = threading.Event()
    for future in futures:
        future.add_done_callback(lambda finished: (done.append(finished), ready.set()))
    ready.wait(30)
    return done[:1]


def test_operations_are_listed_by_prefix_page_by_page(served: Callable[[Function], Any]) -> None:
    operations, server = served(nothing)
    with server as channel:
        for name in ("run/1", "run/2", "run/3", "other"):
            operations.start(named(name))
        stub = pb_grpc.OperationsServiceStub(channel)
        first = stub.ListOperations(pb.ListOperationsRequest(id_prefix="run/", page_size=2))
        rest = stub.ListOperations(
            pb.ListOperationsRequest(id_prefix="run/", page_size=2, page_token=first.next_page_token)
        )
        ids = [operation.operation_id for page in (first, rest) for operation in page.operations]
    assert ids == ["run/3", "run/2", "run/1"]
    assert rest.next_page_token == ""


def test_a_wait_beyond_all_measure_is_cut(served: Callable[[Function], Any]) -> None:
    operations, server = served(nothing)
    with server as channel:
        operations.start(named("a"))
        await_operation(channel, "a")
        request = pb.WaitOperationRequest(operation_id="a", wait=Duration(seconds=10**11))
        assert pb_grpc.OperationsServiceStub(channel).WaitOperation(request).operation.revision > 1


@pytest.mark.parametrize("operation_id", ["a\0b", "x" * 1_000_000])
def test_an_id_that_no_operation_has_is_the_callers_fault(served: Callable[[Function], Any], operation_id: str) -> None:
    _, server = served(nothing)
    with server as channel:
        stub = pb_grpc.OperationsServiceStub(channel)
        for call in (
            lambda: stub.GetOperation(pb.GetOperationRequest(operation_id=operation_id)),
            lambda: stub.CancelOperation(pb.CancelOperationRequest(operation_id=operation_id)),
            lambda: stub.ListOperations(pb.ListOperationsRequest(id_prefix=operation_id)),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert isinstance(from_rpc_error(caught.value), InvalidArgument)


@pytest.mark.parametrize("prefix", ["%", "_", "run%", "x" * 201, " ", "ä"])
def test_a_prefix_that_no_id_begins_with_is_refused(served: Callable[[Function], Any], prefix: str) -> None:
    _, server = served(nothing)
    with server as channel, pytest.raises(grpc.RpcError) as caught:
        pb_grpc.OperationsServiceStub(channel).ListOperations(pb.ListOperationsRequest(id_prefix=prefix))
    assert from_rpc_error(caught.value).field == "id_prefix"


def test_nothing_is_kept_of_operations_that_nobody_has_and_are_called_off(part: Part) -> None:
    operations = part.operations(nothing)

    def held() -> int:
        parts = (operations, operations._workers)
        kept = [value for part in parts for value in vars(part).values() if isinstance(value, set | dict | list)]
        assert kept
        return sum(map(len, kept))

    before = held()
    for n in range(100):
        with pytest.raises(NotFound):
            operations.cancel(f"nobody/{n}")
    assert held() == before
    operations.drain()


def test_an_unknown_operation_is_not_found(served: Callable[[Function], Any]) -> None:
    _, server = served(nothing)
    with server as channel:
        stub = pb_grpc.OperationsServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetOperation(pb.GetOperationRequest(operation_id="nobody"))
        assert isinstance(from_rpc_error(caught.value), NotFound)


def test_a_result_is_downloaded_as_it_was_written(part: Part, served: Callable[[Function], Any]) -> None:
    def work(context: OperationContext, request: StartImportModelRequest) -> str:
        folder = part.folder / "made"
        folder.mkdir(exist_ok=True)
        (folder / "rows.jsonl").write_text("".join(f'{{"n": {n}}}\n' for n in range(3)))
        (folder / "large.bin").write_bytes(b"x" * 600_000)
        return write_dataset(part.objects, "checkpoint", folder, counts={}, parents=[], configuration={}, seed=0)

    operations, server = served(work)
    with server as channel:
        operations.start(named("a"))
        uri = await_operation(channel, "a").result_uri
        stub = pb_grpc.OperationsServiceStub(channel)
        files: dict[str, bytes] = {}
        for piece in stub.DownloadDataset(pb.DownloadDatasetRequest(uri=uri)):
            files[piece.file_name] = files.get(piece.file_name, b"") + piece.chunk
    assert files == {name: (part.folder / "made" / name).read_bytes() for name in ("rows.jsonl", "large.bin")}
