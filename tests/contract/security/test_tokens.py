"""Static bearer tokens against a real server: refused, taken, rotated, audited, sent by our own channels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.errors import FailedPrecondition, InvalidArgument, NotFound, Unauthenticated
from shared.rpc.channels import Channels, Credentials
from shared.settings import AuthSection
from tests.support.guarded import add_caller, audit_lines, audited, call, code_of, guarded_server, replace

LIST = "/medq.operations.v1.OperationsService/ListOperations"
GET = "/medq.operations.v1.OperationsService/GetOperation"
DOWNLOAD = "/medq.operations.v1.OperationsService/DownloadDataset"
START = "/medq.controller.v1.ControllerService/StartRun"


@pytest.fixture
def callers(tmp_path: Path) -> Path:
    return tmp_path / "callers.yaml"


@pytest.fixture
def reader(callers: Path) -> str:
    return add_caller(callers, "lab console", "reader")


@pytest.fixture
def target(callers: Path, reader: str, tmp_path: Path) -> Iterator[str]:
    with guarded_server(tmp_path / "state", auth={"tokens_file": callers}) as server:
        yield server.target


@pytest.fixture
def channel(target: str) -> Iterator[grpc.Channel]:
    with Channels({"guarded": target}) as channels:
        yield channels["guarded"]


def test_a_call_without_a_token_is_told_how_to_send_one(channel: grpc.Channel) -> None:
    error = call(channel, LIST)
    assert isinstance(error, Unauthenticated)
    assert "authorization: Bearer" in error.remedy


def test_a_stream_without_a_token_is_refused(channel: grpc.Channel) -> None:
    assert isinstance(call(channel, DOWNLOAD, shape="unary_stream"), Unauthenticated)


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", "Bearer unknown"),),
        (("authorization", "Bearer "),),
        (("authorization", "Basic {token}"),),
        (("authorization", "{token}"),),
        (("authorization", "Bearer {token}"), ("authorization", "Bearer unknown")),
        (("authorization", "Bearer {token} {token}"),),
    ],
)
def test_what_is_no_token_of_ours_is_refused(channel: grpc.Channel, reader: str, metadata: tuple) -> None:
    sent = tuple((key, value.format(token=reader)) for key, value in metadata)
    assert code_of(channel, LIST, sent) is grpc.StatusCode.UNAUTHENTICATED


def test_the_digest_of_a_token_is_no_token(channel: grpc.Channel, callers: Path) -> None:
    digest = callers.read_text().split("sha256: ")[1].split()[0]
    assert isinstance(call(channel, LIST, digest), Unauthenticated)


def test_a_known_token_is_taken(channel: grpc.Channel, reader: str) -> None:
    assert code_of(channel, LIST, (("authorization", f"Bearer {reader}"),)) is grpc.StatusCode.OK
    assert isinstance(call(channel, GET, reader), NotFound)


def test_an_expired_entry_is_refused(channel: grpc.Channel, callers: Path) -> None:
    today = datetime.now(UTC).date()
    old = add_caller(callers, "old", "reader", expires=today - timedelta(days=1))
    assert "expired" in call(channel, LIST, old).message
    lasting = add_caller(callers, "lasting", "reader", expires=today + timedelta(days=1))
    assert code_of(channel, LIST, (("authorization", f"Bearer {lasting}"),)) is grpc.StatusCode.OK


def test_a_token_holds_as_soon_as_it_is_listed_and_no_longer(channel: grpc.Channel, callers: Path, reader: str) -> None:
    later = add_caller(callers, "later", "reader")
    assert isinstance(call(channel, GET, later), NotFound)
    replace(callers, "[]")
    for token in (later, reader):
        assert isinstance(call(channel, GET, token), Unauthenticated)


def test_a_broken_list_keeps_those_that_were_known(channel: grpc.Channel, callers: Path, reader: str) -> None:
    for content in ("- name: [", "- name: x\n  roles: [king]\n"):
        replace(callers, content)
        assert isinstance(call(channel, GET, reader), NotFound)
    callers.unlink()
    assert isinstance(call(channel, GET, reader), NotFound)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("- name: x\n  roles: [king]\n  sha256: " + "a" * 64, "roles"),
        ("- name: x\n  roles: [reader]\n  sha256: secret", "sha256"),
        ("- name: x\n  roles: [reader]\n", "either sha256 or certificate"),
        ("- name: x\n  roles: []\n  certificate: y\n", "roles"),
        ("name: x", "list"),
        ("- {", "YAML"),
        (2 * "- {name: x, roles: [reader], certificate: y}\n", "same token"),
    ],
)
def test_a_list_of_another_form_stops_the_server(tmp_path: Path, content: str, told: str) -> None:
    file = replace(tmp_path / "bad.yaml", content)
    with pytest.raises(FailedPrecondition, match=told) as caught, guarded_server(tmp_path, auth={"tokens_file": file}):
        pass
    assert "secret" not in str(caught.value)


def test_keys_without_an_issuer_stop_the_server(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidArgument, match="issuer"),
        guarded_server(tmp_path, auth=AuthSection(jwks_file=tmp_path / "keys.json")),
    ):
        pass


def test_channels_send_the_token_of_a_file_as_it_is_rotated(
    target: str, callers: Path, tmp_path: Path, reader: str
) -> None:
    file = replace(tmp_path / "token", f"{reader}\n")
    with Channels({"guarded": target}, Credentials(token_file=file)) as channels:
        stub = operations_pb2_grpc.OperationsServiceStub(channels["guarded"])
        stub.ListOperations(operations_pb2.ListOperationsRequest())
        replace(callers, "")
        fresh = add_caller(callers, "fresh", "reader")
        with pytest.raises(grpc.RpcError) as caught:
            stub.ListOperations(operations_pb2.ListOperationsRequest())
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        replace(file, fresh)
        stub.ListOperations(operations_pb2.ListOperationsRequest())
        with pytest.raises(
            grpc.RpcError
        ) as caught:  # a stream carries it too: let through, then refused for its request
            list(stub.DownloadDataset(operations_pb2.DownloadDatasetRequest(uri="x")))
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("content", ["", "two words", "ü", "\n"])
def test_a_file_without_a_token_is_refused(tmp_path: Path, content: str) -> None:
    file = replace(tmp_path / "token", content)
    with pytest.raises(FailedPrecondition, match="no token"):
        Channels({}, Credentials(token_file=file))


def test_a_token_goes_to_no_other_machine_without_tls(tmp_path: Path) -> None:
    file = replace(tmp_path / "token", "secret-token")
    targets = {"far": "192.0.2.1:443", "named": "medq.example:443", "near": "127.0.0.1:1", "six": "[::1]:1"}
    with Channels(targets, Credentials(token_file=file)) as channels:
        assert channels["near"]
        assert channels["six"]
        for name in ("far", "named"):
            with pytest.raises(FailedPrecondition, match="without TLS") as caught:
                channels[name]
            assert "IS_PLAINTEXT_TOKEN_ALLOWED" in caught.value.remedy
            assert "secret-token" not in str(caught.value)
    allowed = Credentials(token_file=file, is_plaintext_token_allowed=True)
    with Channels(targets, allowed) as channels:
        assert channels["far"]


def test_what_is_denied_and_what_changes_something_is_audited(callers: Path, reader: str, tmp_path: Path) -> None:
    operator = add_caller(callers, "dr operator", "operator")
    with (
        audited() as log,
        guarded_server(tmp_path / "state", auth={"tokens_file": callers}) as server,
        Channels({"guarded": server.target}) as channels,
    ):
        channel = channels["guarded"]
        call(channel, LIST)
        call(channel, START, reader)
        code_of(channel, LIST, (("authorization", f"Bearer {reader}"),))
        stub = controller_pb2_grpc.ControllerServiceStub(channel)
        request = controller_pb2.StartRunRequest(run_id="run-7", config_yaml="patient: Doe")
        with pytest.raises(grpc.RpcError):
            stub.StartRun(request, metadata=(("authorization", f"Bearer {operator}"),))
        lines = audit_lines(log)
    told = [(line["caller"], line["method"], line["decision"], line.get("reason")) for line in lines]
    assert told == [
        ("", LIST, "denied", "UNAUTHENTICATED"),
        ("lab console", START, "denied", "PERMISSION_DENIED"),
        ("dr operator", START, "allowed", None),
    ]
    assert lines[2]["run_id"] == "run-7"
    assert all(line["service"] == "guarded" and line["timestamp"] for line in lines)
    assert all(str(line["peer"]).startswith("ipv4:127.0.0.1:") for line in lines)
    assert not any(secret in log.getvalue() for secret in (operator, reader, "Doe"))
