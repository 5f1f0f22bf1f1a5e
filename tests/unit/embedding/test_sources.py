import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedding.adapters.sources import list_source
from services.embedding.domain.images import MOST_BYTES
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from shared.folders import HIDDEN, walk
from tests.support.servers import short_folder
from tests.support.source_entries import contents, faults_of, list_entries, outcomes


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path that is short enough for a socket."""
    with short_folder() as folder:
        yield folder


def test_a_folder_is_read_in_order_and_what_is_hidden_is_told_and_not_read(tmp_path: Path) -> None:
    for name in ("b.png", "a/2.png", "a/1.dcm", ".git/x.png", ".git/y.png", "a/.cache"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = list_entries(tmp_path)
    assert [entry.name for entry in found] == [".git", "a/.cache", "a/1.dcm", "a/2.png", "b.png"]
    assert [entry.fault for entry in found] == [HIDDEN, HIDDEN, "", "", ""]


def test_other_sources_are_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.png")
    (tmp_path / "broken.parquet").write_text("no parquet")
    (tmp_path / "other.csv").write_text("file,label\na,b\n")
    (tmp_path / "none.csv").write_text("image_path\n")
    for name, error in (
        ("list.txt", InvalidArgument), ("broken.parquet", InvalidArgument), ("other.csv", InvalidArgument),
        ("none.csv", FailedPrecondition), ("absent", NotFound),
    ):  # fmt: skip
        with pytest.raises(error):
            list_entries(tmp_path / name)


def test_a_name_that_is_no_unicode_is_told_with_escapes(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes(b"x")
    (entry,) = list_entries(tmp_path)
    assert (entry.name, entry.image_path) == ("caf\\udce9.png", "caf\\udce9.png")
    assert contents(tmp_path) == [b"x"]


def test_an_impossible_source_is_not_found(tmp_path: Path) -> None:
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(NotFound):
            list_entries(tmp_path / name)


def test_whatever_is_no_file_in_a_folder_has_a_row_that_says_why(tmp_path: Path, short: Path) -> None:
    (tmp_path / "secret.txt").write_bytes(b"x")
    folder = short / "in"
    for name in ("good.png", "x.png/inside.png", "plain/b.png", ".DS_Store", "Thumbs.db", ".hidden/a.png", ".hidden/b"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    os.mkfifo(folder / "pipe.png")
    (folder / "empty").mkdir()
    links = {"out.png": tmp_path / "secret.txt", "in.png": "good.png", "zero.png": "/dev/zero", "gone.png": "nowhere",
             "loop.png": "loop.png", "up": "..", "folder.png": "plain"}  # fmt: skip
    for name, target in links.items():
        (folder / name).symlink_to(target)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket.png"))
        found = outcomes(folder)
    assert {name for name, fault in found.items() if not fault} == {
        "good.png", "x.png/inside.png", "plain/b.png", "Thumbs.db",
    }  # fmt: skip
    assert {found[name] for name in links} == {"It is a link."}
    assert {found[name] for name in ("pipe.png", "socket.png")} == {"It is a pipe, a socket or a device."}
    assert {found[name] for name in (".DS_Store", ".hidden")} == {HIDDEN}
    assert found["x.png"].startswith("It is a folder")
    assert len(found) == 4 + len(links) + 2 + 2 + 1


def test_a_link_that_a_file_was_replaced_by_after_the_walk_is_not_followed(tmp_path: Path) -> None:
    folder, secret = tmp_path / "in", tmp_path / "secret"
    (folder / "a").mkdir(parents=True)
    secret.mkdir()
    for name in ("1.png", "a/2.png"):
        (folder / name).write_bytes(b"x")
        (secret / Path(name).name).write_bytes(b"SECRET")
    with list_source(folder) as listing:
        (folder / "1.png").unlink()
        (folder / "1.png").symlink_to(secret / "1.png")
        (folder / "a").rename(folder / "b")
        (folder / "a").symlink_to(secret)
        for entry in listing:
            with pytest.raises(InvalidArgument, match="link"):
                listing.read(entry)


def test_a_manifest_may_name_what_is_no_file_and_each_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_bytes(b"x")
    folder = tmp_path / "in"
    (folder / "folder.png").mkdir(parents=True)
    (folder / "good.png").write_bytes(b"x")
    os.mkfifo(folder / "pipe.png")
    (folder / "out.png").symlink_to(tmp_path / "secret.txt")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "up").symlink_to("..")
    with (folder / "huge.png").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    names = ["good.png", "folder.png", "pipe.png", "out.png", "zero.png", "up/secret.txt", "huge.png", "../secret.txt"]
    (folder / "a.csv").write_text("image_path\n" + "\n".join(names))
    found = outcomes(folder / "a.csv")
    assert list(found) == names
    assert found.pop("good.png") == ""
    assert all(found.values())


def test_a_folder_that_may_not_be_listed_has_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "closed").mkdir(0o000)
    try:
        is_closed = not os.access(tmp_path / "closed", os.R_OK)  # the superuser may list it
        assert faults_of(tmp_path).get("closed", "") == ("The folder cannot be read." if is_closed else "")
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_nest_of_folders_ends_in_a_row(tmp_path: Path) -> None:
    deep = tmp_path / "/".join("d" * 70)
    deep.mkdir(parents=True)
    (deep / "a.png").write_bytes(b"x")
    ((_, fault),) = faults_of(tmp_path).items()
    assert "64 folders deep" in fault


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number % 2}").mkdir(exist_ok=True)
        (tmp_path / f"{number % 2}/{number}.png").write_bytes(b"x")
    assert len(list(walk(tmp_path, 6))) == 4
    with pytest.raises(InvalidArgument, match="more than 5 files"):
        list(walk(tmp_path, 5))


def test_names_that_cannot_be_shown_are_told_with_escapes_and_stay_apart(tmp_path: Path) -> None:
    names = ["a\nb.png", "a\\nb.png", "\x1b[31m.png", "x" * 250 + ".png"]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    entries = list_entries(tmp_path)
    assert {entry.name for entry in entries} == {
        "a\\nb.png", "a\\nb.png (another file)", "\\x1b[31m.png", "x" * 250 + ".png",
    }  # fmt: skip
    assert contents(tmp_path) == [b"x"] * 4
