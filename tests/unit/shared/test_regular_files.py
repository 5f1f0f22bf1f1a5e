"""Files that others name are opened through no link, without waiting, and only where they are regular and not too large."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from shared.errors import InvalidArgument
from shared.regular_files import open_regular, read_regular

MOST = 1000


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"x" * MOST)
    assert read_regular(path, MOST) == b"x" * MOST


def test_a_file_above_the_bound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"x" * (MOST + 1))
    with pytest.raises(InvalidArgument, match=r"too large.*1000 bytes"):
        read_regular(path, MOST)


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InvalidArgument, match="no regular file"):
        open_regular(tmp_path / "pipe.png", MOST)


def test_a_socket_a_folder_and_a_device_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may not be long
    (tmp_path / "folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")
        for path in (tmp_path / "socket.png", tmp_path / "folder.png", Path("/dev/zero"), Path("/")):
            with pytest.raises(InvalidArgument, match="no regular file"):
                open_regular(path, MOST)


@pytest.mark.parametrize("target", ["inside.png", "/dev/zero", "/etc/passwd", "nowhere", "link.png"])
def test_a_link_is_refused_wherever_it_leads(tmp_path: Path, target: str) -> None:
    (tmp_path / "inside.png").write_bytes(b"x")
    (tmp_path / "link.png").symlink_to(target)
    with pytest.raises(InvalidArgument, match="is a link"):
        open_regular(tmp_path / "link.png", MOST)


def test_a_file_behind_a_linked_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").write_bytes(b"x")
    (tmp_path / "linked").symlink_to("real")
    with pytest.raises(InvalidArgument, match="is a link, or lies behind one"):
        open_regular(tmp_path / "linked" / "a.png", MOST)


@pytest.mark.parametrize("name", ["nothing.png", "a\0b.png", "x" * 5000, "file.png/below.png"])
def test_what_is_not_there_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.png").write_bytes(b"x")
    with pytest.raises(InvalidArgument, match="cannot be read"):
        open_regular(tmp_path / name, MOST)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "link.png").symlink_to("a.png")
    before = len(os.listdir("/dev/fd"))
    for name in ("a.png", "link.png", "nothing.png", "."):
        for _ in range(10):
            with suppress(InvalidArgument):
                open_regular(tmp_path / name, MOST).close()
    assert len(os.listdir("/dev/fd")) == before
