"""A command takes one `Access`; the user types its options, or sets the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli.access import Access, with_access
from cli.options import Json

OPTIONS = ["--server", "--tls-ca", "--tls-cert", "--tls-key", "--token-file"]


def given(*arguments: str) -> Access:
    """What a command is handed that was typed with these arguments."""
    seen: list[Access] = []

    def command(name: str = "", *, access: Access, is_json: Json = False) -> None:
        seen.append(access)

    app = typer.Typer()
    app.command()(with_access(command))
    ended = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return seen[0]


def test_every_option_reaches_the_credentials():
    access = given(
        *("--server", "host:1", "--tls-ca", "ca", "--tls-cert", "cert"), *("--tls-key", "key", "--token-file", "token")
    )
    tls = access.credentials.tls
    assert access.server == "host:1"
    assert (tls.ca_file, tls.certificate_file, tls.key_file) == (Path("ca"), Path("cert"), Path("key"))
    assert access.credentials.token_file == Path("token")


def test_the_environment_gives_what_no_option_names(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEDQ_SERVER_TLS_CA", "theirs")
    monkeypatch.setenv("MEDQ_SERVER_TOKEN_FILE", "token")
    access = given("--tls-ca", "mine")
    assert (access.tls_ca, access.token_file) == (Path("mine"), Path("token"))


def test_options_stand_where_the_parameter_stood():
    def command(first: str = "", *, access: Access, last: str = "") -> None: ...

    app = typer.Typer()
    app.command()(with_access(command))
    names = [option.opts[0] for option in typer.main.get_command(app).params]
    assert [name for name in names if "completion" not in name] == ["--first", *OPTIONS, "--last"]
