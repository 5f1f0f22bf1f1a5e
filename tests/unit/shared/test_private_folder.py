"""The folder of the sockets is this user's alone, for who serves and who calls."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.access import Access
from cli.connection import STATE, connect
from shared.errors import FailedPrecondition
from shared.private_folder import is_private, make_private
from shared.rpc.channels import Channels
from shared.rpc.ownership import own
from shared.settings import MAX_SOCKET_PATH, runtime_folder, socket_targets
from tests.support.servers import short_folder


def _other_kind(folder: Path, kind: str) -> None:
    """What another user, or a careless one, may have put in the place of the folder."""
    if kind == "link":
        (folder.parent / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(folder.parent / "elsewhere")
    elif kind == "file":
        folder.write_text("")
    elif kind == "dangling link":
        folder.symlink_to(folder.parent / "nothing")
    elif kind == "other owner":
        if os.geteuid() != 0:
            pytest.skip("only root may give a folder away")
        folder.mkdir(mode=0o700)
        os.chown(folder, 12345, -1)
    else:
        folder.mkdir()
        folder.chmod(int(kind, 8))


KINDS = ["link", "file", "dangling link", "other owner", "755", "777", "750", "1777", "701"]


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of this user's, as a login makes it."""
    with short_folder() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        yield folder


def test_a_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    make_private(tmp_path / "a", "listen")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    make_private(tmp_path / "a", "listen")


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_that_others_could_use_is_refused_with_a_remedy(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "sockets"
    _other_kind(folder, kind)
    with pytest.raises(FailedPrecondition, match="sockets") as caught:
        make_private(folder, "listen")
    assert "XDG_RUNTIME_DIR" in caught.value.remedy


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_talks_to_no_socket_that_another_user_could_have_made(
    tmp_path: Path, runtime: Path, kind: str
) -> None:
    state = tmp_path / STATE
    _other_kind(runtime_folder(state), kind)
    with pytest.raises(FailedPrecondition, match="sockets"):
        Channels(socket_targets(state))["controller"]
    with own(state), pytest.raises(FailedPrecondition, match="sockets"), connect(tmp_path, Access("")):
        pass


def test_the_runtime_folder_of_the_user_comes_first(tmp_path: Path, runtime: Path) -> None:
    assert runtime_folder(tmp_path).parent == runtime


@pytest.mark.parametrize("value", ["", None])
def test_without_the_variable_the_folder_of_the_login_is_taken_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    if value is not None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    of_login = Path(f"/run/user/{os.geteuid()}")
    assert runtime_folder(tmp_path).parent == (of_login if is_private(of_login) else Path(tempfile.gettempdir()))


@pytest.mark.parametrize("named", ["relative", "missing", "755", "long"])
def test_a_runtime_folder_that_cannot_be_trusted_or_used_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    place = tmp_path / ("x" * 90 if named == "long" else named)
    if named in ("755", "long"):
        place.mkdir()
        place.chmod(0o755 if named == "755" else 0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "relative" if named == "relative" else str(place))
    assert tmp_path not in runtime_folder(tmp_path).parents
    assert str(os.geteuid()) in runtime_folder(tmp_path).name


def test_every_socket_of_a_runtime_folder_that_is_used_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for length in range(1, 80):
        folder = tmp_path / ("x" * length)
        folder.mkdir(mode=0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        for target in socket_targets(tmp_path).values():
            health = target.removeprefix("unix:").removesuffix(".sock") + ".health.sock"
            assert len(health.encode()) <= MAX_SOCKET_PATH


def test_nothing_is_private_where_nothing_is(tmp_path: Path) -> None:
    assert not is_private(tmp_path / "nothing")


def test_a_state_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    with own(tmp_path / "state"):
        assert is_private(tmp_path / "state")
