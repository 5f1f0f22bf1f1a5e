import os
from pathlib import Path

import pytest

from shared.objects.folder import FolderObjectStore
from shared.objects.store import ObjectStore, digest_of
from tests.contract.ports.object_store_suite import ObjectStoreSuite


def place(root: Path, uri: str) -> Path:
    return root / "objects" / digest_of(uri)[:2] / digest_of(uri)


class TestFolderObjectStore(ObjectStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        self.root = tmp_path / "store"
        return FolderObjectStore(self.root)

    def damage(self, store: ObjectStore, uri: str, data: bytes) -> None:
        path = place(self.root, uri)
        path.chmod(0o644)
        path.write_bytes(data)

    def test_another_store_on_the_same_folder_sees_the_objects(self, store: ObjectStore) -> None:
        assert FolderObjectStore(self.root).read_bytes(store.put_bytes(b"shared")) == b"shared"

    def test_objects_are_read_only_and_nothing_else_is_left(self, store: ObjectStore) -> None:
        uri = store.put_bytes(b"immutable")
        assert place(self.root, uri).stat().st_mode & 0o777 == 0o444
        assert list((self.root / "partial").iterdir()) == []

    def test_old_half_written_files_are_removed_and_new_ones_kept(self, store: ObjectStore) -> None:
        old, new = self.root / "partial" / "old", self.root / "partial" / "new"
        old.touch()
        new.touch()
        os.utime(old, (0, 0))
        FolderObjectStore(self.root)
        assert not old.exists()
        assert new.exists()
