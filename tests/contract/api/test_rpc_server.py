"""The server loop with a small service of its own: errors in all four call shapes, health, reflection, drain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from sqlalchemy.exc import OperationalError

from shared.errors import FailedPrecondition, Internal, InvalidArgument, MedqError, NotFound, Unavailable
from shared.events.sqlite import SqliteEventBus
from shared.operation_table import METADATA
from shared.operations import Operations
from shared.rpc.channels import Channels
from shared.rpc.ownership import is_owned, own
from shared.rpc.server import RunningServer, Service
from shared.settings import ServiceSettings
from shared.status import from_rpc_error
from tests.support.databases import sqlite_database
from tests.support.servers import short_folder

#: As the report of a run with many arms is: more than gRPC takes in by itself.
LARGE = bytes(8 << 20)
FAILURES: dict[bytes, Callable[[], Exception]] = {
    b"typed": lambda: NotFound("No such thing.", field="thing", value="x", remedy="Look elsewhere."),
    b"untyped": lambda: RuntimeError("secret"),
    b"database": lambda: OperationalError("SELECT", {}, Exception("gone")),
}


def _unary(request: bytes, context: grpc.ServicerContext) -> bytes:
    if request == b"large":
        return LARGE
    if request in FAILURES:
        raise FAILURES[request]()
    return request.upper()


def _stream(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    yield b"first"
    yield _unary(request, context)


def _echo(server: grpc.Server) -> None:
    handlers = {
        "UnaryUnary": grpc.unary_unary_rpc_method_handler(_unary),
        "UnaryStream": grpc.unary_stream_rpc_method_handler(_stream),
        "StreamUnary": grpc.stream_unary_rpc_method_handler(lambda it, ctx: _unary(b"".join(it), ctx)),
        "StreamStream": grpc.stream_stream_rpc_method_handler(lambda it, ctx: _stream(b"".join(it), ctx)),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with short_folder() as folder, sqlite_database(folder) as database:
        bus = SqliteEventBus(folder / "events.sqlite")
        operations = Operations("echo", database.engine(METADATA), {}, owner="one", lease_seconds=30)
        service = Service("echo", "medq.operations.v1.OperationsService", _echo, operations)
        settings = ServiceSettings(state_folder=folder, listen=f"unix:{folder}/echo.sock", drain_seconds=0.2)
        running = RunningServer(service, bus, settings)
        running.start()
        yield running
        running.drain()
        bus.close()


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    with Channels({"echo": server.target}) as channels:
        yield channels["echo"]


def _call(channel: grpc.Channel, shape: str, request: bytes) -> list[bytes]:
    method = f"/test.Echo/{shape}"
    if shape == "UnaryUnary":
        return [channel.unary_unary(method)(request)]
    if shape == "UnaryStream":
        return list(channel.unary_stream(method)(request))
    if shape == "StreamUnary":
        return [channel.stream_unary(method)(iter([request]))]
    return list(channel.stream_stream(method)(iter([request])))


SHAPES = ["UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream"]
TOLD: list[tuple[bytes, type[MedqError]]] = [(b"typed", NotFound), (b"untyped", Internal), (b"database", Unavailable)]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_call_shape_answers(channel: grpc.Channel, shape: str) -> None:
    assert _call(channel, shape, b"hello")[-1] == b"HELLO"


def test_a_caller_takes_in_an_answer_as_large_as_a_report_may_be(channel: grpc.Channel) -> None:
    assert _call(channel, "UnaryUnary", b"large") == [LARGE]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("request_", "cls"), TOLD)
def test_every_call_shape_tells_its_errors(
    channel: grpc.Channel, shape: str, request_: bytes, cls: type[MedqError]
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        _call(channel, shape, request_)
    error = from_rpc_error(caught.value)
    assert type(error) is cls
    assert "secret" not in str(error)


def test_items_before_an_error_in_a_stream_arrive(channel: grpc.Channel) -> None:
    stream = channel.unary_stream("/test.Echo/UnaryStream")(b"typed")
    assert next(stream) == b"first"
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert from_rpc_error(caught.value).remedy == "Look elsewhere."


def test_an_unknown_method_is_unimplemented(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/test.Echo/Nothing")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_health_answers_on_a_port_of_its_own(server: RunningServer) -> None:
    assert server.health_target != server.target
    with Channels({"health": server.health_target}) as channels:
        stub = health_pb2_grpc.HealthStub(channels["health"])
        for name in ("", "medq.operations.v1.OperationsService"):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services(channel: grpc.Channel) -> None:
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert "medq.operations.v1.OperationsService" in services


@pytest.fixture
def operations(tmp_path: Path) -> Iterator[Operations]:
    with sqlite_database(tmp_path) as database:
        yield Operations("other", database.engine(METADATA), {}, owner="one", lease_seconds=30)


def test_a_tcp_port_that_is_taken_is_refused(tmp_path: Path, operations: Operations) -> None:
    service = Service("other", "medq.operations.v1.OperationsService", _echo, operations)
    bus = SqliteEventBus(tmp_path / "events.sqlite")
    first = RunningServer(service, bus, ServiceSettings(state_folder=tmp_path, listen="127.0.0.1:0"))
    first.start()
    with pytest.raises(FailedPrecondition, match="cannot be bound"):
        RunningServer(service, bus, ServiceSettings(state_folder=tmp_path, listen=first.target))
    first.drain()
    bus.close()


def test_a_socket_path_that_is_too_long_is_refused(tmp_path: Path, operations: Operations) -> None:
    service = Service("deep", "medq.operations.v1.OperationsService", _echo, operations)
    bus = SqliteEventBus(tmp_path / "events.sqlite")
    settings = ServiceSettings(state_folder=tmp_path, listen=f"unix:{tmp_path}/{'x' * 120}.sock")
    with pytest.raises(InvalidArgument, match="socket path"):
        RunningServer(service, bus, settings)
    bus.close()


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    assert not is_owned(tmp_path)
    with own(tmp_path):
        assert is_owned(tmp_path)
        with pytest.raises(FailedPrecondition, match="owns this state folder"):
            own(tmp_path)
    assert not is_owned(tmp_path)


def test_a_service_without_an_address_is_named() -> None:
    with pytest.raises(InvalidArgument, match="retrieval"):
        Channels({})["retrieval"]


def test_a_service_that_does_not_answer_is_told_with_a_remedy(tmp_path: Path) -> None:
    with grpc.insecure_channel(f"unix:{tmp_path}/nobody.sock") as channel, pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    error = from_rpc_error(caught.value)
    assert isinstance(error, Unavailable)
    assert "address" in error.remedy
