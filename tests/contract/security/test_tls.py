"""TLS and mutual TLS of a real server, and certificates that are replaced while server and channels live."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from shared.rpc.channels import Channels, Credentials
from shared.settings import TlsSection
from tests.support.certificates import Authority
from tests.support.guarded import add_caller, audit_lines, audited, call, code_of, guarded_server, replace
from tests.support.servers import short_folder

LIST = "/medq.operations.v1.OperationsService/ListOperations"
START = "/medq.controller.v1.ControllerService/StartRun"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server_tls(authority: Authority) -> TlsSection:
    certificate, key = authority.issue("server")
    return TlsSection(certificate_file=certificate, key_file=key, ca_file=authority.ca_file)


@pytest.fixture
def mutual(server_tls: TlsSection) -> TlsSection:
    return server_tls.model_copy(update={"is_client_certificate_required": True})


def _credentials(authority: Authority, name: str = "", **tls: object) -> Credentials:
    certificate, key = authority.issue(name) if name else (None, None)
    return Credentials(
        TlsSection(**{"ca_file": authority.ca_file, "certificate_file": certificate, "key_file": key, **tls})
    )


def _code(target: str, credentials: Credentials | None = None) -> grpc.StatusCode:
    """The status of a call, which fails at once where there is no connection."""
    with Channels({"guarded": target}, credentials) as channels:
        try:
            channels["guarded"].unary_unary(LIST)(b"", timeout=20, wait_for_ready=False)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def _serial(target: str) -> int:
    """The serial number of the certificate that a server shows to a new connection."""
    host, port = target.rsplit(":", 1)
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode()).serial_number


def _serial_of(path: Path) -> int:
    return x509.load_pem_x509_certificates(path.read_bytes())[0].serial_number


def test_a_server_with_a_certificate_answers_those_who_know_its_authority(
    authority: Authority, server_tls: TlsSection, tmp_path: Path
) -> None:
    with short_folder() as folder, guarded_server(folder, tls=server_tls) as server:
        stranger = _credentials(Authority(tmp_path, "stranger"))
        assert _code(server.target, _credentials(authority)) is grpc.StatusCode.OK
        assert _code(server.target, stranger) is grpc.StatusCode.UNAVAILABLE
        assert _code(server.target) is grpc.StatusCode.UNAVAILABLE
        by_name = server.target.replace("127.0.0.1", "localhost")
        assert _code(by_name, _credentials(authority)) is grpc.StatusCode.OK


def test_health_stays_plaintext_for_probes(server_tls: TlsSection, tmp_path: Path) -> None:
    with guarded_server(tmp_path / "state", tls=server_tls) as server:
        assert server.health_target.startswith("127.0.0.1:")
        with Channels({"health": server.health_target}) as channels:
            answer = health_pb2_grpc.HealthStub(channels["health"]).Check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_unix_sockets_stay_without_tls(authority: Authority, server_tls: TlsSection) -> None:
    with short_folder() as folder, guarded_server(folder, tls=server_tls, listen=f"unix:{folder}/s.sock") as server:
        assert _code(server.target, _credentials(authority)) is grpc.StatusCode.OK
        assert _code(server.target) is grpc.StatusCode.OK


def test_mutual_tls_refuses_callers_without_a_certificate_of_its_authority(
    authority: Authority, mutual: TlsSection, tmp_path: Path
) -> None:
    with guarded_server(tmp_path / "state", tls=mutual) as server:
        assert _code(server.target, _credentials(authority, "caller")) is grpc.StatusCode.OK
        assert _code(server.target, _credentials(authority)) is grpc.StatusCode.UNAVAILABLE
        certificate, key = Authority(tmp_path, "stranger").issue("caller", stem="strange")
        forged = _credentials(authority, certificate_file=certificate, key_file=key)
        assert _code(server.target, forged) is grpc.StatusCode.UNAVAILABLE
        old_certificate, old_key = authority.issue("old", expired=True)
        expired = _credentials(authority, certificate_file=old_certificate, key_file=old_key)
        assert _code(server.target, expired) is grpc.StatusCode.UNAVAILABLE


def test_a_certificate_names_its_caller_and_a_token_goes_before_it(
    authority: Authority, mutual: TlsSection, tmp_path: Path
) -> None:
    callers = replace(tmp_path / "callers.yaml", "- {name: training, certificate: medq-training, roles: [reader]}\n")
    operator = add_caller(callers, "dr who", "operator")
    with (
        audited() as log,
        guarded_server(tmp_path / "state", tls=mutual, auth={"tokens_file": callers}) as server,
        Channels({"guarded": server.target}, _credentials(authority, "medq-training")) as known,
        Channels({"guarded": server.target}, _credentials(authority, "somebody")) as unknown,
    ):
        assert code_of(known["guarded"], LIST) is grpc.StatusCode.OK
        assert code_of(unknown["guarded"], LIST) is grpc.StatusCode.UNAUTHENTICATED
        assert isinstance(call(known["guarded"], START), PermissionDenied)
        with_token = (("authorization", f"Bearer {operator}"),)
        assert code_of(unknown["guarded"], START, with_token) is grpc.StatusCode.UNIMPLEMENTED
        wrong = (("authorization", "Bearer wrong"),)
        assert code_of(known["guarded"], LIST, wrong) is grpc.StatusCode.UNAUTHENTICATED
        who = [(line["caller"], line.get("known_by")) for line in audit_lines(log)]
    assert who == [("", None), ("training", "certificate"), ("dr who", "token"), ("", None)]


def test_a_server_shows_a_new_certificate_as_soon_as_it_is_there(
    authority: Authority, server_tls: TlsSection, tmp_path: Path
) -> None:
    with guarded_server(tmp_path / "state", tls=server_tls) as server:
        first = _serial(server.target)
        assert first == _serial_of(server_tls.certificate_file)
        new, _ = authority.issue("server")
        assert _serial(server.target) == _serial_of(new) != first
        server_tls.key_file.write_text("half a ke")
        assert _serial(server.target) == _serial_of(new)
        assert _code(server.target, _credentials(authority)) is grpc.StatusCode.OK


def test_a_server_trusts_the_callers_of_a_new_authority_and_no_longer_those_of_the_old(
    authority: Authority, mutual: TlsSection, tmp_path: Path
) -> None:
    of_callers = Authority(tmp_path, "callers")
    trusted = replace(tmp_path / "trusted.pem", authority.ca_file.read_text())
    tls = mutual.model_copy(update={"ca_file": trusted})
    caller = _credentials(authority, "caller")
    certificate, key = of_callers.issue("other")
    other = _credentials(authority, certificate_file=certificate, key_file=key)
    with guarded_server(tmp_path / "state", tls=tls) as server:
        assert (_code(server.target, caller), _code(server.target, other)) == (
            grpc.StatusCode.OK,
            grpc.StatusCode.UNAVAILABLE,
        )
        replace(trusted, of_callers.ca_file.read_text())
        assert (_code(server.target, caller), _code(server.target, other)) == (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.OK,
        )


@pytest.fixture
def rotating(authority: Authority, mutual: TlsSection, tmp_path: Path) -> Iterator[tuple[Channels, TlsSection, str]]:
    """Channels of a service whose own certificate has expired, and the server that it calls."""
    certificate, key = authority.issue("caller", expired=True)
    own = TlsSection(certificate_file=certificate, key_file=key, ca_file=authority.ca_file)
    with (
        guarded_server(tmp_path / "state", tls=mutual) as server,
        Channels({"guarded": server.target}, Credentials(own)) as channels,
    ):
        yield channels, own, server.target


def test_a_stub_goes_on_with_the_new_certificate_of_its_service(
    authority: Authority, rotating: tuple[Channels, TlsSection, str]
) -> None:
    channels, _, _ = rotating
    stub = operations_pb2_grpc.OperationsServiceStub(channels["guarded"])
    request = operations_pb2.ListOperationsRequest()
    with pytest.raises(grpc.RpcError) as caught:
        stub.ListOperations(request, wait_for_ready=False, timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    for _ in range(3):
        authority.issue("caller")
        assert list(stub.ListOperations(request, timeout=20).operations) == []
    assert stub.ListOperations.future(request, timeout=20).result() is not None
    assert stub.ListOperations.with_call(request, timeout=20)[1].code() is grpc.StatusCode.OK


def test_a_waiting_call_outlives_the_rotation_of_its_certificate(
    authority: Authority, server_tls: TlsSection, tmp_path: Path
) -> None:
    certificate, key = authority.issue("caller")
    own = TlsSection(certificate_file=certificate, key_file=key, ca_file=authority.ca_file)
    with (
        guarded_server(tmp_path / "state", tls=server_tls) as server,
        Channels({"guarded": server.target}, Credentials(own)) as channels,
    ):
        stub = health_pb2_grpc.HealthStub(channels["guarded"])
        watching = stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert next(watching).status == health_pb2.HealthCheckResponse.SERVING
        authority.issue("caller")
        assert stub.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        assert watching.is_active()
        watching.cancel()


@pytest.mark.parametrize(
    ("changes", "cls", "told"),
    [
        ({"key_file": None}, InvalidArgument, "needs its key"),
        ({"ca_file": None}, InvalidArgument, "which callers"),
        ({"certificate_file": None, "key_file": None}, InvalidArgument, "one itself"),
        ({"certificate_file": "absent.pem"}, FailedPrecondition, "cannot be read"),
        ({"key_file": "other.key"}, FailedPrecondition, "do not belong together"),
        ({"key_file": "text"}, FailedPrecondition, "do not belong together"),
        ({"ca_file": "text"}, FailedPrecondition, "no certificate"),
    ],
)
def test_tls_that_cannot_work_stops_the_server(
    authority: Authority,
    mutual: TlsSection,
    tmp_path: Path,
    changes: dict[str, str | None],
    cls: type[Exception],
    told: str,
) -> None:
    authority.issue("other")
    (tmp_path / "text").write_text("no PEM")
    paths = {name: tmp_path / file if file else None for name, file in changes.items()}
    with pytest.raises(cls, match=told), guarded_server(tmp_path / "state", tls=mutual.model_copy(update=paths)):
        pass


def test_a_channel_whose_files_cannot_work_says_so(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="cannot be read"):
        Channels({}, Credentials(TlsSection(ca_file=tmp_path / "absent.pem")))


def test_a_server_says_what_it_leaves_open_to_the_network(server_tls: TlsSection, tmp_path: Path) -> None:
    callers = replace(tmp_path / "callers.yaml", "")
    open_settings = ({}, {"tls": server_tls}, {"tls": server_tls, "auth": {"tokens_file": callers}})
    told = []
    for number, settings in enumerate(open_settings):
        for listen in ("0.0.0.0:0", "127.0.0.1:0"):
            with audited("WARNING") as log, guarded_server(tmp_path / f"{number}{listen}", listen=listen, **settings):
                pass
            told.append({json.loads(line)["event"] for line in log.getvalue().splitlines()})
    everything = {"open_to_everybody", "calls_in_plaintext"}
    assert told == [everything, set(), {"open_to_everybody"}, set(), set(), set()]
