import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound
from shared.objects.dataset import (
    iterate_rows,
    materialize,
    publish,
    read_array,
    read_manifest,
    read_object,
    read_rows,
    write_dataset,
)
from shared.objects.folder import FolderObjectStore
from shared.objects.manifest import FileEntry
from shared.objects.store import digest_of
from shared.rows.encoding import to_json
from shared.rows.evaluation import Answer, Scores
from shared.rows.failures import ClusteringRow
from shared.rows.images import Image, Input
from tests.support.rows import build

ROWS = [build(Image, licence="line\u2028separator é"), build(Image, image_id="f" * 64, window=None)]
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.fixture
def store(tmp_path: Path) -> FolderObjectStore:
    return FolderObjectStore(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    (folder / "data").mkdir(parents=True)
    (folder / "images.jsonl").write_text("".join(to_json(row) + "\n" for row in ROWS), encoding="utf-8")
    np.save(folder / "vectors.npy", VECTORS)
    (folder / "data" / "card.md").write_bytes(b"card")
    return folder


def write(store: FolderObjectStore, folder: Path, **changes: Any) -> str:
    options: dict[str, Any] = {"counts": {"rows": 2}, "parents": [], "configuration": {"tau": 0.75}, "seed": 7}
    return write_dataset(store, "image-set", folder, **(options | changes))


def manifest_with(store: FolderObjectStore, **changes: Any) -> str:
    record: dict[str, Any] = {
        "format": "medq-dataset-1",
        "kind": "checkpoint",
        "files": {},
        "counts": {},
        "parents": [],
    }
    record |= {"configuration": {}, "seed": 0, "code_version": "1"}
    return store.put_bytes(json.dumps(record | changes).encode())


def test_a_dataset_is_read_as_it_was_written(store: FolderObjectStore, folder: Path) -> None:
    parent = store.put_bytes(b"parent")
    uri = write(store, folder, parents=[parent])
    manifest = read_manifest(store, uri, "image-set")
    assert manifest.files["data/card.md"] == FileEntry(sha256=digest_of(store.put_bytes(b"card")), bytes=4)
    assert {name: entry.rows for name, entry in manifest.files.items()} == {
        "data/card.md": None,
        "images.jsonl": 2,
        "vectors.npy": 3,
    }
    assert (manifest.counts, manifest.parents, manifest.seed) == ({"rows": 2}, (parent,), 7)
    assert manifest.configuration == {"tau": 0.75}
    assert read_rows(store, uri, Image) == ROWS
    np.testing.assert_array_equal(read_array(store, uri, "vectors.npy"), VECTORS)


def test_the_same_content_has_the_same_uri_wherever_it_was_made(
    store: FolderObjectStore, folder: Path, tmp_path: Path
) -> None:
    uri = write(store, folder)
    moved = folder.rename(tmp_path / "elsewhere")
    (moved / "images.jsonl").touch()
    assert write(store, moved) == uri
    assert write(store, moved, seed=8) != uri


def test_another_kind_is_refused(store: FolderObjectStore, folder: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"'failures' is needed, this one is 'image-set'"):
        read_manifest(store, write(store, folder), "failures")


@pytest.mark.parametrize("data", [b"\x89PNG", b"[]", b"{}", b'{"format": "another"}', b"null"])
def test_an_object_that_is_no_manifest_is_refused(store: FolderObjectStore, data: bytes) -> None:
    with pytest.raises(InvalidArgument, match="not a dataset manifest"):
        read_manifest(store, store.put_bytes(data))


@pytest.mark.parametrize(
    "name", ["../out", "..", "/etc/passwd", "//a", "a/../b", "", ".", "a//b", "a/", "a/.", "a\\b", "./a"]
)
def test_names_that_leave_the_folder_are_refused(store: FolderObjectStore, tmp_path: Path, name: str) -> None:
    uri = manifest_with(store, files={name: {"sha256": digest_of(store.put_bytes(b"x")), "bytes": 1, "rows": None}})
    with pytest.raises(InvalidArgument, match="stay inside"):
        materialize(store, uri, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_links_are_refused(store: FolderObjectStore, folder: Path) -> None:
    (folder / "link").symlink_to("/etc/hostname")
    with pytest.raises(InvalidArgument, match="plain files only"):
        write(store, folder)


def test_an_empty_folder_is_refused(store: FolderObjectStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArgument, match="at least one file"):
        write(store, tmp_path / "empty")


def test_a_parent_that_is_no_uri_is_refused(store: FolderObjectStore, folder: Path) -> None:
    with pytest.raises(InvalidArgument, match="Not an object URI"):
        write(store, folder, parents=["yesterday's"])


def test_a_materialized_dataset_is_whole_and_used_again(store: FolderObjectStore, folder: Path, tmp_path: Path) -> None:
    uri = write(store, folder)
    local = materialize(store, uri, tmp_path / "cache")
    found = sorted(path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file())
    assert found == ["data/card.md", "images.jsonl", "vectors.npy"]
    inode = (local / "images.jsonl").stat().st_ino
    assert materialize(store, uri, tmp_path / "cache") == local
    assert (local / "images.jsonl").stat().st_ino == inode
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [digest_of(uri)]


def test_a_damaged_file_fails_the_read_and_leaves_no_folder(
    store: FolderObjectStore, folder: Path, tmp_path: Path
) -> None:
    uri = write(store, folder)
    digest = read_manifest(store, uri).files["vectors.npy"].sha256
    stored = tmp_path / "store" / "objects" / digest[:2] / digest
    stored.chmod(0o644)
    stored.write_bytes(b"damaged")
    with pytest.raises(DataLoss, match=digest):
        materialize(store, uri, tmp_path / "cache")
    with pytest.raises(DataLoss, match=digest):
        read_array(store, uri, "vectors.npy")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_changed_cached_file_is_fetched_again(store: FolderObjectStore, folder: Path, tmp_path: Path) -> None:
    uri = write(store, folder)
    local = materialize(store, uri, tmp_path / "cache") / "images.jsonl"
    whole = local.read_bytes()
    for change in (b"", whole[:-1], whole[::-1]):
        local.unlink()
        local.write_bytes(change)
        materialize(store, uri, tmp_path / "cache")
        assert local.read_bytes() == whole
        assert local.stat().st_mode & 0o777 == 0o444
    local.unlink()
    assert (materialize(store, uri, tmp_path / "cache") / "images.jsonl").read_bytes() == whole


def test_a_file_that_the_dataset_lacks_is_not_found(store: FolderObjectStore, folder: Path) -> None:
    with pytest.raises(NotFound, match=r"report\.jsonl"):
        read_rows(store, write(store, folder), Input)


def test_arrays_of_objects_and_other_files_are_no_arrays(store: FolderObjectStore, folder: Path) -> None:
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidArgument, match="plain numbers"):
        write(store, folder)
    (folder / "objects.npy").unlink()
    uri = write(store, folder)
    with pytest.raises(InvalidArgument, match="plain numbers"):
        read_array(store, uri, "data/card.md")


def test_an_array_without_rows_is_an_array(store: FolderObjectStore, folder: Path) -> None:
    np.save(folder / "vectors.npy", VECTORS[:0])
    uri = write(store, folder)
    assert read_manifest(store, uri).files["vectors.npy"].rows == 0
    assert read_array(store, uri, "vectors.npy").shape == (0, 2)


def test_values_become_a_dataset_and_come_back(store: FolderObjectStore) -> None:
    clustering = build(ClusteringRow)
    files = {"clustering.json": clustering, "prototypes.npy": VECTORS, "failures.jsonl": iter(())}
    uri = publish(store, "failures", files, counts={}, parents=[], configuration={})
    assert read_object(store, uri, ClusteringRow) == clustering
    np.testing.assert_array_equal(read_array(store, uri, "prototypes.npy"), VECTORS)
    assert publish(store, "failures", files, counts={}, parents=[], configuration={}) == uri


def test_rows_of_another_file_are_not_published(store: FolderObjectStore) -> None:
    with pytest.raises(InvalidArgument, match="not Input"):
        publish(store, "image-set", {"images.jsonl": [build(Input)]}, counts={}, parents=[], configuration={})


def test_a_kind_that_nobody_described_is_refused(store: FolderObjectStore, folder: Path) -> None:
    with pytest.raises(InvalidArgument, match="no such dataset kind"):
        write_dataset(store, "holidays", folder, counts={}, parents=[], configuration={}, seed=0)


def test_rows_are_of_their_own_kind_alone(store: FolderObjectStore, folder: Path) -> None:
    with pytest.raises(InvalidArgument, match="'failures' is needed, this one is 'image-set'"):
        read_object(store, write(store, folder), ClusteringRow)


def test_a_manifest_carries_the_version_of_its_rows(store: FolderObjectStore, folder: Path) -> None:
    uri = write(store, folder)
    assert json.loads(store.read_bytes(uri))["schema_version"] == 1
    record = json.loads(store.read_bytes(uri))
    del record["schema_version"]  # as it was before versions
    assert read_manifest(store, store.put_bytes(json.dumps(record).encode())).schema_version == 1


def test_rows_of_a_later_version_are_refused_with_the_way_out(store: FolderObjectStore, folder: Path) -> None:
    record = json.loads(store.read_bytes(write(store, folder)))
    later = record | {"schema_version": 2, "what_comes_with_it": True}
    uri = store.put_bytes(json.dumps(later).encode())
    with pytest.raises(FailedPrecondition, match="image-set version 2; this release reads up to version 1") as e:
        list(iterate_rows(store, uri, Image))
    assert "Update" in e.value.remedy


def test_answers_of_version_1_are_read_and_its_scores_are_refused(store: FolderObjectStore) -> None:
    old = Path(__file__).parents[2] / "data" / "rows" / "evaluation" / "v1"
    uri = write_dataset(store, "evaluation", old, counts={}, parents=[], configuration={}, seed=0)
    record = json.loads(store.read_bytes(uri)) | {"schema_version": 1}
    earlier = store.put_bytes(json.dumps(record).encode())
    assert [answer.evaluated for answer in read_rows(store, earlier, Answer)] == [True]
    with pytest.raises(FailedPrecondition, match=r"scores\.json says something else since version 2") as e:
        read_object(store, earlier, Scores)
    assert "again" in e.value.remedy


def test_a_row_that_does_not_fit_is_named_by_line_and_field_and_not_quoted(
    store: FolderObjectStore, folder: Path
) -> None:
    broken = to_json(ROWS[0]).replace('"pool"', '"Jane Doe"')
    (folder / "images.jsonl").write_text(f"{to_json(ROWS[0])}\n{broken}\n", encoding="utf-8")
    with pytest.raises(InvalidArgument, match=r"Line 2 of images\.jsonl .*split") as caught:
        read_rows(store, write(store, folder), Image)
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [(), ("a", "a/b"), ("a", "a/b/c"), ("a\0b",), ("x" * 300,), (".",), ("../a",), ("a//b",)],
    ids=lambda names: f"{len(names)} files",
)
def test_a_manifest_whose_files_cannot_be_is_refused(store: FolderObjectStore, names: tuple[str, ...]) -> None:
    entry = {"sha256": "0" * 64, "bytes": 1}
    manifest = {
        "kind": "image-set", "files": dict.fromkeys(names, entry), "counts": {}, "parents": [], "configuration": {},
        "seed": 0, "code_version": "1", "schema_version": 1, "format": "medq-dataset-1",
    }  # fmt: skip
    with pytest.raises(InvalidArgument):
        read_manifest(store, store.put_bytes(json.dumps(manifest).encode()))
