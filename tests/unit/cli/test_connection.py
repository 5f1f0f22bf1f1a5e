"""Whom a command talks to."""

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.access import Access
from cli.connection import connect
from cli.main import app
from shared.errors import FailedPrecondition, Unavailable


def test_a_server_that_does_not_answer_is_named_with_its_address(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, so that no one else listens there, and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unavailable) as caught, connect(tmp_path, Access(server=address)):
            pass
    assert (caught.value.field, caught.value.value) == ("server", address)
    assert "HOST:PORT" in caught.value.remedy


@pytest.mark.parametrize("out", ["file/out", "folder"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / "medq.log").mkdir(parents=True)
    with pytest.raises(FailedPrecondition) as caught, connect(tmp_path / out, Access()):
        pass
    assert caught.value.field == "out"


def test_a_folder_in_which_nothing_was_run_has_no_reviews_and_stays_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "mistyped"
    said = CliRunner().invoke(app, ["review", "list", "--out", str(out)])
    assert said.exit_code == 1
    assert "No command has worked in this folder yet." in said.output
    assert not out.exists()
