"""Whom a command talks to."""

import socket
from pathlib import Path

import pytest

from cli.access import Access
from cli.connection import connect
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
