"""What every `ObjectStore` does. An adapter's test class inherits it, gives a store and can damage it."""

import hashlib
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.errors import DataLoss, InvalidArgument, NotFound
from shared.objects.store import ObjectStore, uri_of

ABSENT = "sha256:" + "0" * 64


class ObjectStoreSuite(ABC):
    @pytest.fixture
    @abstractmethod
    def store(self, tmp_path: Path) -> ObjectStore: ...

    @abstractmethod
    def damage(self, store: ObjectStore, uri: str, data: bytes) -> None:
        """Replace the stored bytes behind the store's back."""

    def test_what_was_put_is_read_under_the_digest_of_its_content(self, store: ObjectStore) -> None:
        uri = store.put_bytes(b"pixels")
        assert uri == "sha256:" + hashlib.sha256(b"pixels").hexdigest()
        assert store.read_bytes(uri) == b"pixels"

    def test_a_file_and_its_bytes_are_the_same_object(self, store: ObjectStore, tmp_path: Path) -> None:
        path = tmp_path / "large.bin"
        path.write_bytes(bytes(range(256)) * 20_000)  # several chunks
        uri = store.put_file(path)
        assert uri == store.put_bytes(path.read_bytes()) == store.put_file(path)
        store.fetch(uri, tmp_path / "new" / "copy.bin")
        assert (tmp_path / "new" / "copy.bin").read_bytes() == path.read_bytes()

    def test_an_empty_object_is_an_object(self, store: ObjectStore) -> None:
        assert store.read_bytes(store.put_bytes(b"")) == b""

    def test_fetch_replaces_what_was_there(self, store: ObjectStore, tmp_path: Path) -> None:
        (tmp_path / "copy").write_bytes(b"older and longer")
        store.fetch(store.put_bytes(b"new"), tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == b"new"

    def test_exists_tells_what_is_there(self, store: ObjectStore) -> None:
        assert store.exists(store.put_bytes(b"here"))
        assert not store.exists(ABSENT)

    def test_an_absent_object_is_not_found(self, store: ObjectStore, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match=ABSENT):
            store.read_bytes(ABSENT)
        with pytest.raises(NotFound):
            store.fetch(ABSENT, tmp_path / "copy")

    def test_an_absent_file_is_not_found(self, store: ObjectStore, tmp_path: Path) -> None:
        with pytest.raises(NotFound):
            store.put_file(tmp_path / "nothing")

    @pytest.mark.parametrize(
        "uri", ["", "sha256:", "sha256:" + "A" * 64, "md5:" + "0" * 64, "0" * 64, ABSENT + "\n", "sha256:../../etc"]
    )
    def test_a_malformed_uri_is_invalid(self, store: ObjectStore, tmp_path: Path, uri: str) -> None:
        for read in (store.read_bytes, store.exists, lambda uri: store.fetch(uri, tmp_path / "copy")):
            with pytest.raises(InvalidArgument, match="Not an object URI"):
                read(uri)

    @pytest.mark.parametrize("wrong", [b"Pixels", b"pixel", b"", b"pixels and more"])
    def test_damage_is_found_on_read_and_names_the_object(
        self, store: ObjectStore, tmp_path: Path, wrong: bytes
    ) -> None:
        uri = store.put_bytes(b"pixels")
        self.damage(store, uri, wrong)
        with pytest.raises(DataLoss, match=uri):
            store.read_bytes(uri)
        with pytest.raises(DataLoss, match=uri):
            store.fetch(uri, tmp_path / "cache" / "copy")
        assert list((tmp_path / "cache").iterdir()) == []

    @pytest.mark.parametrize("wrong", [b"Pixels", b"pixel", b"", b"pixels and more"])
    @pytest.mark.parametrize("is_file", [False, True])
    def test_a_damaged_object_is_healed_by_putting_it_again(
        self, store: ObjectStore, tmp_path: Path, wrong: bytes, is_file: bool
    ) -> None:
        (tmp_path / "file").write_bytes(b"pixels")
        uri = store.put_bytes(b"pixels")
        self.damage(store, uri, wrong)
        assert (store.put_file(tmp_path / "file") if is_file else store.put_bytes(b"pixels")) == uri
        assert store.read_bytes(uri) == b"pixels"

    def test_concurrent_writers_of_the_same_object_agree(self, store: ObjectStore, tmp_path: Path) -> None:
        path = tmp_path / "same.bin"
        path.write_bytes(b"x" * 300_000)
        with ThreadPoolExecutor(8) as threads:
            uris = set(threads.map(store.put_file, [path] * 16))
        assert uris == {uri_of(hashlib.sha256(path.read_bytes()).hexdigest())}
        assert store.read_bytes(uris.pop()) == path.read_bytes()
