"""Callers who send nothing, read nothing or send nonsense stop no other call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cli.follow import download
from medq.operations.v1 import operations_pb2 as pb
from medq.operations.v1 import operations_pb2_grpc as pb_grpc
from shared.errors import BudgetExhausted, Cancelled, DataLoss, InvalidArgument, NotFound, Unauthenticated
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import write_dataset
from shared.objects.folder import FolderObjectStore
from shared.operation_table import METADATA
from shared.operations import Operations
from shared.rpc.admission import HEAVY
from shared.rpc.channels import Channels
from shared.rpc.server import RunningServer, Service
from shared.settings import ServiceSettings
from shared.status import from_rpc_error
from tests.support.databases import sqlite_database
from tests.support.guarded import add_caller, audit_lines, audited, guarded_server, product_methods
from tests.support.hostile import ended, silent_calls
from tests.support.servers import short_folder

GET = "/medq.operations.v1.OperationsService/GetOperation"
N_THREADS = 4
LARGE = 32 << 20  # bytes; more than any window of HTTP/2 holds


@dataclass
class House:
    """A server whose clock is turned by hand, with one large file in its store."""

    folder: Path
    now: float = 0.0
    release: threading.Event = field(default_factory=threading.Event)
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def blocked(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.entered.release()
        self.release.wait(60)
        return request

    def register(self, server: grpc.Server) -> None:
        handlers = {"Block": grpc.unary_unary_rpc_method_handler(self.blocked)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Slow", handlers),))
        for method in HEAVY:
            service, name = method.strip("/").split("/")
            heavy = grpc.method_handlers_generic_handler(service, {name: handlers["Block"]})
            server.add_generic_rpc_handlers((heavy,))

    def dataset(self) -> str:
        made = self.folder / "made"
        made.mkdir()
        (made / "large.bin").write_bytes(b"x" * LARGE)
        (made / "empty.txt").write_text("")
        objects = FolderObjectStore(self.folder / "objects")
        return write_dataset(objects, "checkpoint", made, counts={}, parents=[], configuration={}, seed=0)


@pytest.fixture
def house() -> Iterator[House]:
    with short_folder() as folder:
        yield House(folder)


@pytest.fixture
def server(house: House) -> Iterator[RunningServer]:
    folder = house.folder
    with sqlite_database(folder) as database, closing(SqliteEventBus(folder / "events.sqlite")) as bus:
        operations = Operations("house", database.engine(METADATA), {}, owner="one", lease_seconds=30)
        objects = FolderObjectStore(folder / "objects")
        name = "medq.operations.v1.OperationsService"
        service = Service("house", name, house.register, operations, objects=objects)
        settings = ServiceSettings(
            state_folder=folder, listen=f"unix:{folder}/h.sock", threads=N_THREADS, drain_seconds=0.2
        )
        running = RunningServer(service, bus, settings, clock=lambda: house.now)
        running.start()
        yield running
        house.release.set()
        running.drain()


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    with Channels({"house": server.target}) as channels:
        yield channels["house"]


def _is_answered(channel: grpc.Channel) -> bool:
    """Whether another caller gets an answer."""
    stub = pb_grpc.OperationsServiceStub(channel)
    return not stub.ListOperations(pb.ListOperationsRequest(), timeout=20).operations


def _error(call: Any) -> Exception:
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    return from_rpc_error(caught.value)


def test_readers_who_stop_reading_block_nobody_and_have_a_bound(channel: grpc.Channel, house: House) -> None:
    stub, request = pb_grpc.OperationsServiceStub(channel), pb.DownloadDatasetRequest(uri=house.dataset())
    first = stub.DownloadDataset(request, timeout=60)
    assert next(first).chunk == b""
    for _ in range(3 * N_THREADS):
        assert isinstance(_error(stub.DownloadDataset(request, timeout=60)), BudgetExhausted)
        assert _is_answered(channel)
    first.cancel()


def test_a_reader_who_stops_reading_loses_its_stream(channel: grpc.Channel, house: House) -> None:
    stub, request = pb_grpc.OperationsServiceStub(channel), pb.DownloadDatasetRequest(uri=house.dataset())
    stopped = stub.DownloadDataset(request, timeout=60)
    next(stopped)
    small = pb.DownloadDatasetRequest(uri=request.uri, file_names=["empty.txt"])
    files: list[str] = []
    while not files:  # until the server has sent what fits into the windows, and has taken the stream away
        house.now += 61
        with suppress(grpc.RpcError):
            files = [piece.file_name for piece in stub.DownloadDataset(small, timeout=60)]
    assert isinstance(_error(stopped), Cancelled)  # told once it reads on


def test_open_streams_of_health_and_reflection_block_nobody(channel: grpc.Channel) -> None:
    never = threading.Event()

    def questions() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        never.wait()
        yield from ()

    health, reflection = health_pb2_grpc.HealthStub(channel), reflection_pb2_grpc.ServerReflectionStub(channel)
    calls: list[Any] = []
    for _ in range(3 * N_THREADS):
        calls.append(health.Watch(health_pb2.HealthCheckRequest(), timeout=60))
        calls.append(reflection.ServerReflectionInfo(questions(), timeout=60))
    assert _is_answered(channel)
    never.set()
    for call in calls:
        call.cancel()


def test_a_stream_that_asks_nothing_is_ended(channel: grpc.Channel, house: House) -> None:
    watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
    next(watching)
    end = ended(watching)
    while not end.wait(0.05):  # again and again: its time begins anew once the server knows that the answer is taken
        house.now += 61
    assert watching.code() is grpc.StatusCode.CANCELLED


def test_callers_who_never_send_their_message_block_nobody(channel: grpc.Channel, house: House) -> None:
    with silent_calls(channel, GET, 8 * N_THREADS) as calls:
        for call in calls:  # each moment of the clock lets those go that have a thread by then
            if ended(call).is_set():
                continue
            house.now += 0.6
        done = threading.Event()
        threading.Thread(target=lambda: (_is_answered(channel), done.set()), daemon=True).start()
        while not done.wait(0.05):
            house.now += 0.6
    assert done.is_set()


def test_a_message_that_never_comes_ends_its_call(channel: grpc.Channel, house: House) -> None:
    with silent_calls(channel, GET, 1) as (call,):
        end = ended(call)
        while not end.wait(0.05):
            house.now += 1
        assert call.code() is grpc.StatusCode.CANCELLED


def test_heavy_calls_share_a_quarter_of_the_threads(channel: grpc.Channel, house: House) -> None:
    first = channel.unary_unary(sorted(HEAVY)[0]).future(b"", timeout=60)
    assert house.entered.acquire(timeout=60)
    for method in HEAVY:
        for _ in range(N_THREADS):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(method)(b"", timeout=60)
            assert isinstance(from_rpc_error(caught.value), BudgetExhausted), method
        assert _is_answered(channel)
    house.release.set()
    assert first.result(timeout=60) == b""
    while True:  # the place is free once the first call is over on the server's side too
        with suppress(grpc.RpcError):
            assert channel.unary_unary(sorted(HEAVY)[-1])(b"", timeout=60) == b""
            break


def test_a_pool_that_is_stuck_is_not_serving_until_it_is_free(
    server: RunningServer, channel: grpc.Channel, house: House
) -> None:
    def health() -> int:
        with Channels({"health": server.health_target}) as channels:
            return health_pb2_grpc.HealthStub(channels["health"]).Check(health_pb2.HealthCheckRequest()).status

    block = channel.unary_unary("/test.Slow/Block")
    stuck = [block.future(b"", timeout=60) for _ in range(4 * N_THREADS)]
    for _ in range(N_THREADS + 1):  # a quarter more is there for streams
        assert house.entered.acquire(timeout=60)
    server.tell_health()
    assert health() == health_pb2.HealthCheckResponse.SERVING
    house.now += 16
    server.tell_health()
    assert health() == health_pb2.HealthCheckResponse.NOT_SERVING
    house.release.set()
    for call in stuck:
        call.result(timeout=60)
    assert _is_answered(channel)
    server.tell_health()
    assert health() == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("names", [["large.bin", "large.bin"], [f"{n}" for n in range(1001)]])
def test_a_download_names_each_file_once_and_not_too_many(
    channel: grpc.Channel, house: House, names: list[str]
) -> None:
    request = pb.DownloadDatasetRequest(uri=house.dataset(), file_names=names)
    error = _error(pb_grpc.OperationsServiceStub(channel).DownloadDataset(request))
    assert isinstance(error, InvalidArgument)
    assert error.field == "file_names"


def test_an_unknown_file_is_told_before_the_first_piece(channel: grpc.Channel, house: House) -> None:
    request = pb.DownloadDatasetRequest(uri=house.dataset(), file_names=["large.bin", "other"])
    with pytest.raises(grpc.RpcError) as caught:
        next(pb_grpc.OperationsServiceStub(channel).DownloadDataset(request))
    assert isinstance(from_rpc_error(caught.value), NotFound)


def test_a_large_object_is_no_manifest(channel: grpc.Channel, house: House) -> None:
    house.dataset()
    uri = FolderObjectStore(house.folder / "objects").put_file(house.folder / "made" / "large.bin")
    error = _error(pb_grpc.OperationsServiceStub(channel).DownloadDataset(pb.DownloadDatasetRequest(uri=uri)))
    assert isinstance(error, InvalidArgument)


def _damage(house: House) -> None:
    """Change one byte of the large file, as a rotten disk does."""
    (stored,) = [
        path for path in (house.folder / "objects").rglob("*") if path.is_file() and path.stat().st_size == LARGE
    ]
    stored.chmod(0o600)
    with stored.open("r+b") as file:
        file.write(b"y")


def test_a_damaged_file_ends_a_download_with_data_loss(channel: grpc.Channel, house: House) -> None:
    uri = house.dataset()
    _damage(house)
    request = pb.DownloadDatasetRequest(uri=uri)
    assert isinstance(_error(pb_grpc.OperationsServiceStub(channel).DownloadDataset(request)), DataLoss)


def test_a_client_keeps_nothing_of_a_download_with_a_damaged_file(channel: grpc.Channel, house: House) -> None:
    uri, folder = house.dataset(), house.folder / "fetched"
    download(channel, uri, folder, ["empty.txt"])
    (folder / "large.bin").write_bytes(b"from before")
    _damage(house)
    with pytest.raises(grpc.RpcError) as caught:  # behind the file that is whole, which comes first
        download(channel, uri, folder)
    assert isinstance(from_rpc_error(caught.value), DataLoss)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "empty.txt": b"",
        "large.bin": b"from before",
    }


def test_a_message_that_cannot_be_read_is_invalid_and_logs_no_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with guarded_server(tmp_path / "state") as server, Channels({"guarded": server.target}) as channels:
        for method, described in product_methods().items():
            shape = channels["guarded"].unary_stream if described.server_streaming else channels["guarded"].unary_unary
            for raw in (b"\xff\xff\xff", b"\x0f", b"\x0a\xff\xff\xff\x7f"):
                with pytest.raises(grpc.RpcError) as caught:
                    list(shape(method)(raw, timeout=20))
                assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, method
    assert "Traceback" not in "".join(capfd.readouterr())


def test_nothing_of_a_strangers_message_is_waited_for_or_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    callers = tmp_path / "callers.yaml"
    add_caller(callers, "somebody", "reader")
    with (
        guarded_server(tmp_path / "state", auth={"tokens_file": callers}) as server,
        Channels({"guarded": server.target}) as channels,
        silent_calls(channels["guarded"], GET, 50) as calls,
    ):
        assert {type(from_rpc_error(call.exception(timeout=60))) for call in calls} == {Unauthenticated}
        with pytest.raises(grpc.RpcError) as caught:
            channels["guarded"].unary_unary(GET)(b"\xff\xff\xff", timeout=20)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "Traceback" not in "".join(capfd.readouterr())


def test_the_audit_of_a_download_names_the_dataset_and_nothing_else(tmp_path: Path) -> None:
    callers = tmp_path / "callers.yaml"
    token = add_caller(callers, "somebody", "reader")
    uri = "sha256:" + "5" * 64
    with (
        audited() as log,
        guarded_server(tmp_path / "state", auth={"tokens_file": callers}) as server,
        Channels({"guarded": server.target}) as channels,
    ):
        stub = pb_grpc.OperationsServiceStub(channels["guarded"])
        for named in (uri, "Doe, Jane"):
            request = pb.DownloadDatasetRequest(uri=named, file_names=["jane-doe.png", "b"])
            _error(stub.DownloadDataset(request, metadata=(("authorization", f"Bearer {token}"),)))
        first, second = audit_lines(log)
    assert (first["uri"], first["n_files"]) == (uri, 2)
    assert "uri" not in second
    assert "doe" not in log.getvalue().lower()
