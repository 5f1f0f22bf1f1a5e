"""What is on the disk before something relies on it: told by the order of the system calls, as a power cut would find them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.database import create_engine, sqlite_url
from shared.objects.folder import FolderObjectStore
from shared.objects.store import digest_of
from shared.synced import make_folder, put_in_place


class Disk:
    """What was synced, and which names were given, in order: `("sync", path)` and `("rename", path)`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, Path]] = []
        fsync, replace = os.fsync, os.replace

        def note_sync(descriptor: int) -> None:
            self.calls.append(("sync", Path(os.readlink(f"/proc/self/fd/{descriptor}"))))
            fsync(descriptor)

        def note_rename(old: str | Path, new: str | Path) -> None:
            replace(old, new)
            self.calls.append(("rename", Path(new)))

        patch.setattr(os, "fsync", note_sync)
        patch.setattr(os, "replace", note_rename)

    def before(self, place: Path) -> set[Path]:
        """What was synced before something got its place."""
        at = self.calls.index(("rename", place))
        return {path for call, path in self.calls[:at] if call == "sync"}

    def after(self, place: Path) -> set[Path]:
        """What was synced after something got its place."""
        at = self.calls.index(("rename", place))
        return {path for call, path in self.calls[at:] if call == "sync"}


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_the_return(tmp_path: Path, disk: Disk) -> None:
    partial, place = tmp_path / "partial", tmp_path / "place"
    (partial / "inner").mkdir(parents=True)
    (partial / "inner" / "file").write_text("x")
    put_in_place(partial, place)
    assert disk.before(place) == {partial, partial / "inner", partial / "inner" / "file"}
    assert disk.after(place) == {tmp_path}
    assert (place / "inner" / "file").read_text() == "x"


def test_a_folder_that_is_new_is_known_to_the_one_above_it(tmp_path: Path, disk: Disk) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert [path for _, path in disk.calls] == [tmp_path, tmp_path / "a"]


def test_an_object_and_the_folder_that_is_new_for_it_survive(tmp_path: Path, disk: Disk) -> None:
    store = FolderObjectStore(tmp_path / "store")
    digest = digest_of(store.put_bytes(b"x"))
    place = tmp_path / "store" / "objects" / digest[:2] / digest
    assert {path.parent for path in disk.before(place)} >= {tmp_path / "store" / "partial"}
    assert tmp_path / "store" / "objects" in disk.before(place)
    assert disk.after(place) == {place.parent}


def test_each_commit_of_a_sqlite_database_is_synced(tmp_path: Path) -> None:
    engine = create_engine(sqlite_url(tmp_path / "new" / "state.db"))
    for _ in range(3):
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    engine.dispose()
