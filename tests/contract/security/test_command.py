"""What `medq --server` tells whoever calls a server in another way than it wants, and `medq token`."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cli.main import app
from shared.rpc.tokens import StaticCallers
from shared.settings import TlsSection
from tests.support.certificates import Authority
from tests.support.guarded import add_caller, audited, guarded_server, replace

IMPLEMENTED = "Method not implemented!"  # the server let the call through


@pytest.fixture(autouse=True)
def _log_elsewhere() -> Iterator[None]:
    with audited():
        yield


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def _tls(authority: Authority, **more: Any) -> TlsSection:
    certificate, key = authority.issue("server", expired=more.pop("expired", False))
    return TlsSection(certificate_file=certificate, key_file=key, ca_file=authority.ca_file, **more)


def _status(target: str, out: Path, *options: object, code: int = 1, **environment: str) -> dict[str, str]:
    """What `medq status` says of a server that does not answer it as it should."""
    arguments = ["status", "--out", str(out), "--server", target, *map(str, options), "--json"]
    result = CliRunner().invoke(app, arguments, env=environment)
    assert result.exit_code == code, result.output
    error: dict[str, str] = json.loads(result.stdout)["error"]
    return error


def test_a_server_that_speaks_tls_asks_for_its_authority(authority: Authority, tmp_path: Path) -> None:
    with guarded_server(tmp_path / "state", tls=_tls(authority)) as server:
        error = _status(server.target, tmp_path)
        assert "it speaks TLS" in error["message"]
        assert "--tls-ca" in error["remedy"]
        stranger = Authority(tmp_path, "stranger").ca_file
        error = _status(server.target, tmp_path, "--tls-ca", stranger)
        assert "authority that is not known here" in error["message"]
        assert "--tls-ca" in error["remedy"]
        error = _status(server.target, tmp_path, "--tls-ca", authority.ca_file)
        assert error["message"] == IMPLEMENTED
        error = _status(server.target, tmp_path, MEDQ_SERVER_TLS_CA=str(authority.ca_file))
        assert error["message"] == IMPLEMENTED


def test_a_server_that_speaks_plaintext_is_told(authority: Authority, tmp_path: Path) -> None:
    with guarded_server(tmp_path / "state") as server:
        error = _status(server.target, tmp_path, "--tls-ca", authority.ca_file)
        assert "does not speak TLS" in error["message"]
        assert error["field"] == "server"


def test_a_server_that_requires_a_certificate_asks_for_it(authority: Authority, tmp_path: Path) -> None:
    tls = _tls(authority, is_client_certificate_required=True)
    certificate, key = authority.issue("caller")
    with guarded_server(tmp_path / "state", tls=tls) as server:
        error = _status(server.target, tmp_path, "--tls-ca", authority.ca_file)
        assert "requires a certificate" in error["message"]
        assert "--tls-cert" in error["remedy"]
        given = ("--tls-ca", authority.ca_file, "--tls-cert", certificate)
        assert "needs its key" in _status(server.target, tmp_path, *given, code=2)["message"]
        assert _status(server.target, tmp_path, *given, "--tls-key", key)["message"] == IMPLEMENTED


def test_a_certificate_that_has_expired_is_told(authority: Authority, tmp_path: Path) -> None:
    with guarded_server(tmp_path / "state", tls=_tls(authority, expired=True)) as server:
        error = _status(server.target, tmp_path, "--tls-ca", authority.ca_file)
        assert "does not hold today" in error["message"]


def test_a_certificate_for_another_name_is_told(authority: Authority, tmp_path: Path) -> None:
    with guarded_server(tmp_path / "state", tls=_tls(authority), listen="127.0.0.2:0") as server:
        error = _status(server.target, tmp_path, "--tls-ca", authority.ca_file)
        assert "for another name" in error["message"]


def test_a_missing_and_a_wrong_token_are_told(tmp_path: Path) -> None:
    callers = tmp_path / "callers.yaml"
    file = replace(tmp_path / "a.token", add_caller(callers, "a", "reader"))
    with guarded_server(tmp_path / "state", auth={"tokens_file": callers}) as server:
        error = _status(server.target, tmp_path)
        assert error["reason"] == "UNAUTHENTICATED"
        assert "--token-file" in error["remedy"]
        wrong = replace(tmp_path / "wrong.token", "medq_wrong")
        error = _status(server.target, tmp_path, "--token-file", wrong)
        assert error["message"] == "The token is not known here."
        assert "cannot be read" in _status(server.target, tmp_path, "--token-file", "absent")["message"]
        assert _status(server.target, tmp_path, "--token-file", file)["message"] == IMPLEMENTED
        by_environment = _status(server.target, tmp_path, MEDQ_SERVER_TOKEN_FILE=str(file))
        assert by_environment["message"] == IMPLEMENTED


def test_a_token_is_not_sent_to_another_machine_in_plaintext(tmp_path: Path) -> None:
    file = replace(tmp_path / "token", "medq_secret")
    error = _status("medq.example:443", tmp_path, "--token-file", file)
    assert "without TLS" in error["message"]
    assert "MEDQ_SERVER_IS_PLAINTEXT_TOKEN_ALLOWED=true" in error["remedy"]


def test_where_nobody_listens_nobody_answers(authority: Authority, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and never listening
        target = f"127.0.0.1:{taken.getsockname()[1]}"
        for options in ((), ("--tls-ca", authority.ca_file)):
            assert _status(target, tmp_path, *options, code=4)["reason"] == "UNAVAILABLE"


def test_a_made_token_is_known_by_the_entry_that_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "lab.token"
    arguments = ["token", "lab console", "--role", "reader", "--role", "operator", "--token-file", str(file)]
    made = CliRunner().invoke(app, [*arguments, "--expires", "2999-12-31"])
    assert made.exit_code == 0
    token = file.read_text().strip()
    assert token not in made.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert yaml.safe_load(made.stdout)[0]["name"] == "lab console"
    caller = StaticCallers(replace(tmp_path / "callers.yaml", made.stdout)).by_token(token)
    assert caller is not None
    assert (caller.name, caller.roles) == ("lab console", {"reader", "operator"})
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert file.read_text().strip() == token


def test_a_role_that_does_not_exist_is_a_wrong_input(tmp_path: Path) -> None:
    arguments = ["token", "x", "--role", "king", "--token-file", str(tmp_path / "x")]
    assert CliRunner().invoke(app, arguments).exit_code == 2
    assert not (tmp_path / "x").exists()
