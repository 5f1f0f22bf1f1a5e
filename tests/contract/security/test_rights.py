"""Which role may call what: the table, the protos, the page and a real server say the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from shared.errors import PermissionDenied, Unauthenticated
from shared.rpc.channels import Channels
from shared.rpc.rights import RIGHTS, Role, is_audited
from shared.rpc.server import RunningServer
from tests.support.guarded import add_caller, call, guarded_server, product_methods

METHODS = product_methods()
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
STARTING = {name for name in METHODS if name.split("/")[2].startswith(("Start", "Cancel"))}


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    file = tmp_path_factory.mktemp("callers") / "callers.yaml"
    return {"": str(file), **{role: add_caller(file, f"the {role}", role) for role in Role}}


@pytest.fixture(scope="module")
def server(tokens: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with guarded_server(tmp_path_factory.mktemp("guarded"), auth={"tokens_file": tokens[""]}) as server:
        yield server


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    """A connection of the test's own: grpc ties each denied call to itself, and where more than 128 of one connection wait for
    the garbage collector, its server refuses the next."""
    with Channels({"guarded": server.target}) as channels:
        yield channels["guarded"]


def test_every_rpc_of_every_proto_has_a_right_and_no_other() -> None:
    rows = {f"/{service}/{name}" for service, names in RIGHTS.items() for name in names}
    assert rows - {REFLECTION} == set(METHODS), "give each new RPC its roles in shared/rpc/rights.py"


def test_every_right_belongs_to_administrators_and_no_reader_changes_anything() -> None:
    for service, names in RIGHTS.items():
        for name, roles in names.items():
            assert Role.ADMIN in roles
            if f"/{service}/{name}" in STARTING:
                assert Role.READER not in roles


@pytest.mark.parametrize("role", list(Role))
def test_a_server_lets_each_role_call_what_the_table_says(
    channel: grpc.Channel, tokens: dict[str, str], role: Role
) -> None:
    for name, method in METHODS.items():
        shape = "unary_stream" if method.server_streaming else "unary_unary"
        error = call(channel, name, tokens[role], shape=shape) if name not in ANSWERED else None
        is_allowed = role in RIGHTS[method.containing_service.full_name][method.name]
        assert isinstance(error, PermissionDenied) is not is_allowed, name


#: They are real, and an empty request is right.
ANSWERED = {"/medq.operations.v1.OperationsService/ListOperations"}


def test_a_method_without_a_right_is_denied_to_everybody(channel: grpc.Channel, tokens: dict[str, str]) -> None:
    for role in Role:
        error = call(channel, "/test.New/Thing", tokens[role])
        assert isinstance(error, PermissionDenied)
        assert "no row in the table of rights" in error.remedy


def test_a_denied_call_names_the_roles_that_may(channel: grpc.Channel, tokens: dict[str, str]) -> None:
    error = call(channel, "/medq.controller.v1.ControllerService/StartRun", tokens[Role.READER])
    assert isinstance(error, PermissionDenied)
    assert error.value == "/medq.controller.v1.ControllerService/StartRun"
    assert "admin, operator" in error.remedy


def test_health_is_open_and_reflection_is_not(channel: grpc.Channel, tokens: dict[str, str]) -> None:
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert isinstance(call(channel, REFLECTION, shape="stream_stream"), Unauthenticated)
    asked = channel.stream_stream(REFLECTION)(iter([]), metadata=(("authorization", f"Bearer {tokens[Role.READER]}"),))
    assert list(asked) == []


def test_without_any_auth_setting_everything_is_allowed(tmp_path: Path) -> None:
    with guarded_server(tmp_path) as server, Channels({"guarded": server.target}) as channels:
        assert channels["guarded"].unary_unary("/test.New/Thing")(b"x") == b"x"


def test_the_page_shows_the_table() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
    for service, names in RIGHTS.items():
        for name, roles in names.items():
            marks = " | ".join("x" if role in roles else "" for role in Role)
            audited = "x" if is_audited(f"/{service}/{name}") else ""
            row = f"| `{service.rsplit('.', 1)[-1]}/{name}` | {marks} | {audited} |"
            assert row.replace("  ", " ") in page.replace("  ", " "), row
