"""Operations over the wire, across restarts, and between processes that share a database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
import structlog
from google.protobuf.duration_pb2 import Duration

from medq.operations.v1 import operations_pb2 as pb
from medq.operations.v1 import operations_pb2_grpc as pb_grpc
from medq.training.v1.training_pb2 import StartImportModelRequest, StartTrainRequest
from shared.errors import AlreadyExists, BudgetExhausted, Cancelled, InvalidArgument, MedqError, NotFound, Unavailable
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import write_dataset
from shared.objects.folder import FolderObjectStore
from shared.operation_rows import CANCELLED, METADATA, SUCCEEDED, WAITING
from shared.operations import OperationContext, Operations, pause_seconds
from shared.parked import Parked
from shared.rpc.operations import await_operation
from shared.rpc.server import Service
from shared.settings import ServiceSettings
from shared.status import from_rpc_error
from tests.support.databases import Database
from tests.support.servers import running, short_folder

Function = Callable[[OperationContext, StartImportModelRequest], str]


def _import(operation_id: str, folder: str = "f") -> StartImportModelRequest:
    return StartImportModelRequest(operation_id=operation_id, folder_uri=folder)


def _nothing(context: OperationContext, request: Any) -> str:
    return ""


class Part:
    """Operations on one database, as many processes as are asked for."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.engine = database.engine(METADATA)
        self.objects = FolderObjectStore(folder / "objects")

    def operations(
        self, function: Function, owner: str = "one", lease_seconds: float = 30.0, n_workers: int = 2
    ) -> Operations:
        functions: Mapping[Any, Any] = {StartImportModelRequest: function, StartTrainRequest: _nothing}
        return Operations("part", self.engine, functions, owner=owner, lease_seconds=lease_seconds, n_workers=n_workers)


@pytest.fixture
def part(database: Database) -> Iterator[Part]:
    with short_folder() as folder:
        yield Part(folder, database)


@pytest.fixture
def served(part: Part) -> Iterator[Callable[[Function], Any]]:
    """Serves a function; calls `running` lazily so that a test chooses the function."""
    bus = SqliteEventBus(part.folder / "events.sqlite")

    def serve(function: Function) -> Any:
        operations = part.operations(function)
        service = Service(
            "part", "medq.operations.v1.OperationsService", lambda _: None, operations, objects=part.objects
        )
        settings = ServiceSettings(
            state_folder=part.folder, listen=f"unix:{part.folder}/p.sock", drain_seconds=0.2, threads=4
        )
        return operations, running(service, bus, settings)

    yield serve
    bus.close()


def _until_terminal(operations: Operations, operation_id: str) -> Any:
    seen = 0
    for _ in range(100):
        found = operations.wait(operation_id, seen, 5.0, lambda: True)
        if found.is_terminal:
            return found
        seen = found.revision
    raise AssertionError("the operation did not end")


def test_the_same_request_twice_is_one_operation(part: Part) -> None:
    calls: list[str] = []
    operations = part.operations(lambda context, request: calls.append(request.folder_uri) or "")  # type: ignore[func-returns-value]
    operations.start(_import("a"))
    _until_terminal(operations, "a")
    operations.start(_import("a"))
    operations.drain()
    assert calls == ["f"]


def test_the_same_id_with_another_request_is_refused(part: Part) -> None:
    operations = part.operations(_nothing)
    operations.start(_import("a"))
    with pytest.raises(AlreadyExists, match="another request"):
        operations.start(_import("a", "g"))
    with pytest.raises(AlreadyExists):
        operations.start(StartTrainRequest(operation_id="a"))
    operations.drain()


@pytest.mark.parametrize("operation_id", ["", " x", "-x", "x" * 201, "ä"])
def test_an_id_of_the_wrong_form_is_refused(part: Part, operation_id: str) -> None:
    operations = part.operations(_nothing)
    with pytest.raises(InvalidArgument, match="id"):
        operations.start(_import(operation_id))
    operations.drain()


def test_a_typed_failure_reaches_the_caller(served: Callable[[Function], Any]) -> None:
    def fail(context: OperationContext, request: StartImportModelRequest) -> str:
        raise InvalidArgument("No weights.", field="folder_uri", value="f", remedy="Add them.")

    operations, server = served(fail)
    with server as channel:
        operations.start(_import("a"))
        with pytest.raises(InvalidArgument) as caught:
            await_operation(channel, "a")
        assert caught.value.remedy == "Add them."


class Reviews:
    """Work that waits for people: how often it began, and how many have decided."""

    def __init__(self) -> None:
        self.begun, self.decided = 0, 0

    def work(self, context: OperationContext, request: StartImportModelRequest) -> str:
        self.begun += 1
        context.check_cancelled()
        if self.decided < 2:
            message = f"waiting for reviews: {self.decided} of 2"
            raise Parked(self.decided, 2, "reviews", message, seconds=3600, is_due=lambda: self.decided >= 2)
        return "sha256:done"


def _until_waiting(operations: Operations, operation_id: str) -> Any:
    seen = 0
    for _ in range(100):
        found = operations.wait(operation_id, seen, 5.0, lambda: True)
        if found.state == WAITING:
            return found
        seen = found.revision
    raise AssertionError("the operation does not wait")


def test_what_waits_for_people_holds_no_worker_and_goes_on_when_it_is_woken(part: Part) -> None:
    reviews = Reviews()
    operations = part.operations(reviews.work, n_workers=1)
    operations.start(_import("a"))
    assert _until_waiting(operations, "a").message == "waiting for reviews: 0 of 2"
    assert operations.backlog()[0] == 0
    operations.start(StartTrainRequest(operation_id="b"))
    assert _until_terminal(operations, "b").state == SUCCEEDED
    operations.tell("a", 1, 2, "waiting for reviews: 1 of 2", is_due=False)
    found = operations.get("a")
    assert (found.state, found.done, found.message) == (WAITING, 1, "waiting for reviews: 1 of 2")
    assert reviews.begun == 1
    reviews.decided = 2
    operations.tell("a", 2, 2, "all", is_due=True)
    found = _until_terminal(operations, "a")
    operations.drain()
    assert (found.state, found.result_uri, found.attempts, reviews.begun) == (SUCCEEDED, "sha256:done", 1, 2)


def test_what_comes_just_before_it_waits_is_not_missed(part: Part) -> None:
    reviews = Reviews()

    def work(context: OperationContext, request: StartImportModelRequest) -> str:
        try:
            return reviews.work(context, request)
        finally:
            reviews.decided = 2  # behind the last look, before it waits

    operations = part.operations(work)
    operations.resume()
    operations.start(_import("a"))
    assert _until_terminal(operations, "a").state == SUCCEEDED
    operations.drain()


def test_waiting_outlives_a_restart_and_ends_when_its_time_is_over(part: Part) -> None:
    first = Reviews()
    operations = part.operations(first.work)
    operations.start(_import("a"))
    _until_waiting(operations, "a")
    operations.drain()
    second = Reviews()
    operations = part.operations(second.work, "two")
    operations.resume()
    assert operations.get("a").state == WAITING
    assert second.begun == 0
    second.decided = 2
    with part.engine.begin() as connection:
        connection.execute(sa.text("UPDATE operations SET lease_until = 1"))  # its time is over
    assert _until_terminal(operations, "a").state == SUCCEEDED
    operations.drain()


def test_what_is_called_off_while_it_waits_may_clean_up(part: Part) -> None:
    reviews, cleaned = Reviews(), []

    def work(context: OperationContext, request: StartImportModelRequest) -> str:
        try:
            return reviews.work(context, request)
        except Cancelled:
            cleaned.append(context.operation_id)
            raise

    operations = part.operations(work)
    operations.start(_import("a"))
    _until_waiting(operations, "a")
    operations.cancel("a")
    found = _until_terminal(operations, "a")
    operations.drain()
    assert (found.state, cleaned) == (CANCELLED, ["a"])


def test_an_outage_of_what_it_stands_on_does_not_end_an_operation(served: Callable[[Function], Any]) -> None:
    outages = [Unavailable("The object store does not answer."), Unavailable("Nor now.")]

    def work(context: OperationContext, request: StartImportModelRequest) -> str:
        if outages:
            raise outages.pop(0)
        return "sha256:done"

    operations, server = served(work)
    with server as channel:
        operations.start(_import("op"))
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
        operations.start(_import("a"))
        found, seen = operations.get("a"), 0
        while not (found.state == "pending" and found.message):
            found = operations.wait("a", seen, 5.0, lambda: True)
            seen = found.revision
        assert "The oracle is down." in found.message
        assert "tries again in" in found.message
        operations.cancel("a")
        assert _until_terminal(operations, "a").state == "cancelled"


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
        operations.start(_import("a"))
        failure = _until_terminal(operations, "a").failure
    assert failure["reason"] == ("NOT_FOUND" if is_neighbour else "INTERNAL")
    assert ("operation_failed" in [entry["event"] for entry in entries]) is not is_neighbour


def test_an_untyped_failure_says_nothing_of_the_inside(served: Callable[[Function], Any]) -> None:
    def fail(context: OperationContext, request: StartImportModelRequest) -> str:
        raise RuntimeError("secret")

    operations, server = served(fail)
    with server as channel:
        operations.start(_import("a"))
        with pytest.raises(MedqError) as caught:
            await_operation(channel, "a")
        assert "secret" not in str(caught.value)


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
        operations.start(_import("a"))
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
        operations.start(_import("a"))
        begun.wait(30)
        pb_grpc.OperationsServiceStub(channel).CancelOperation(pb.CancelOperationRequest(operation_id="a"))
        with pytest.raises(Cancelled):
            await_operation(channel, "a")


def test_an_unfinished_operation_is_taken_up_after_a_restart(part: Part) -> None:
    first = part.operations(_nothing)
    first.drain()  # accepts, but no longer works: as a process that is killed right after its answer
    first.start(_import("a"))
    second = part.operations(lambda context, request: "sha256:" + "0" * 64)
    second.resume()
    assert _until_terminal(second, "a").state == "succeeded"
    second.drain()


def test_drained_work_is_given_back_and_finished_by_the_next(part: Part) -> None:
    begun = threading.Event()

    def endless(context: OperationContext, request: StartImportModelRequest) -> str:
        begun.set()
        while True:
            context.check_cancelled()

    first = part.operations(endless, owner="one")
    first.start(_import("a"))
    begun.wait(30)
    first.drain()
    assert first.get("a").state == "pending"
    second = part.operations(_nothing, owner="two")
    second.resume()
    found = _until_terminal(second, "a")
    second.drain()
    assert (found.state, found.attempts) == ("succeeded", 2)


def test_a_row_whose_lease_ran_out_is_taken_over(part: Part) -> None:
    gone = part.operations(_nothing, owner="gone")
    gone.drain()
    gone.start(_import("a"))
    table = sa.table("operations", sa.column("state"), sa.column("owner"), sa.column("lease_until"))
    with part.engine.begin() as connection:
        connection.execute(sa.update(table).values(state="running", owner="gone", lease_until=1.0))
    other = part.operations(_nothing, owner="other")
    other.resume()
    assert _until_terminal(other, "a").state == "succeeded"
    other.drain()


def test_what_a_busy_process_noted_is_done_by_one_that_is_free(part: Part) -> None:
    begun, release = threading.Event(), threading.Event()

    def hold(context: OperationContext, request: StartImportModelRequest) -> str:
        begun.set()
        release.wait(30)
        return ""

    busy = part.operations(hold, owner="busy", n_workers=1)
    busy.start(_import("held"))
    begun.wait(30)
    free = part.operations(_nothing, owner="free")
    free.resume()
    for name in ("a", "b", "c"):
        busy.start(_import(name))
    assert {_until_terminal(busy, name).state for name in ("a", "b", "c")} == {"succeeded"}
    assert free.get("held").state == "running"
    release.set()
    assert _until_terminal(free, "held").attempts == 1
    for operations in (busy, free):
        operations.drain()


def test_a_process_does_not_call_off_the_second_attempt_of_what_it_saw_called_off(part: Part) -> None:
    first, second = part.operations(_nothing, owner="one"), part.operations(_nothing, owner="two")
    second.drain()  # notes and reopens, but does not work
    second.start(_import("a"))
    first.cancel("a")
    second.retry("a")
    first.resume()
    assert _until_terminal(first, "a").state == "succeeded"
    first.drain()


def test_a_row_with_a_living_lease_is_left_alone(part: Part) -> None:
    release = threading.Event()
    begun = threading.Event()

    def hold(context: OperationContext, request: StartImportModelRequest) -> str:
        begun.set()
        release.wait(30)
        return ""

    first = part.operations(hold, owner="one")
    first.start(_import("a"))
    begun.wait(30)
    second = part.operations(_nothing, owner="two")
    second.resume()
    second.start(_import("a"))
    second.drain()
    assert first.get("a").state == "running"
    release.set()
    assert _until_terminal(first, "a").attempts == 1
    first.drain()


def test_more_waiters_than_allowed_are_told_to_come_back(served: Callable[[Function], Any]) -> None:
    release = threading.Event()
    begun = threading.Event()

    def hold(context: OperationContext, request: StartImportModelRequest) -> str:
        begun.set()
        release.wait(30)
        return ""

    operations, server = served(hold)  # four threads: one may wait
    with server as channel:
        operations.start(_import("a"))
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
    operations, server = served(_nothing)
    with server as channel:
        for name in ("run/1", "run/2", "run/3", "other"):
            operations.start(_import(name))
        stub = pb_grpc.OperationsServiceStub(channel)
        first = stub.ListOperations(pb.ListOperationsRequest(id_prefix="run/", page_size=2))
        rest = stub.ListOperations(
            pb.ListOperationsRequest(id_prefix="run/", page_size=2, page_token=first.next_page_token)
        )
        ids = [operation.operation_id for page in (first, rest) for operation in page.operations]
    assert ids == ["run/3", "run/2", "run/1"]
    assert rest.next_page_token == ""


def test_a_wait_beyond_all_measure_is_cut(served: Callable[[Function], Any]) -> None:
    operations, server = served(_nothing)
    with server as channel:
        operations.start(_import("a"))
        await_operation(channel, "a")
        request = pb.WaitOperationRequest(operation_id="a", wait=Duration(seconds=10**11))
        assert pb_grpc.OperationsServiceStub(channel).WaitOperation(request).operation.revision > 1


@pytest.mark.parametrize("operation_id", ["a\0b", "x" * 1_000_000])
def test_an_id_that_no_operation_has_is_the_callers_fault(served: Callable[[Function], Any], operation_id: str) -> None:
    _, server = served(_nothing)
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
    _, server = served(_nothing)
    with server as channel, pytest.raises(grpc.RpcError) as caught:
        pb_grpc.OperationsServiceStub(channel).ListOperations(pb.ListOperationsRequest(id_prefix=prefix))
    assert from_rpc_error(caught.value).field == "id_prefix"


def test_nothing_is_kept_of_operations_that_nobody_has_and_are_called_off(part: Part) -> None:
    operations = part.operations(_nothing)

    def held() -> int:
        return sum(len(kept) for kept in vars(operations).values() if isinstance(kept, set | dict | list))

    before = held()
    for n in range(100):
        with pytest.raises(NotFound):
            operations.cancel(f"nobody/{n}")
    assert held() == before
    operations.drain()


def test_an_unknown_operation_is_not_found(served: Callable[[Function], Any]) -> None:
    _, server = served(_nothing)
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
        operations.start(_import("a"))
        uri = await_operation(channel, "a").result_uri
        stub = pb_grpc.OperationsServiceStub(channel)
        files: dict[str, bytes] = {}
        for piece in stub.DownloadDataset(pb.DownloadDatasetRequest(uri=uri)):
            files[piece.file_name] = files.get(piece.file_name, b"") + piece.chunk
    assert files == {name: (part.folder / "made" / name).read_bytes() for name in ("rows.jsonl", "large.bin")}
