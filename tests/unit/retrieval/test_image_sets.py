"""Image sets that are read batch by batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.rows import rows
from services.retrieval.work.image_sets import count_images, find_images, iterate_batches
from shared.errors import DataLoss
from shared.objects.dataset import publish, read_manifest
from shared.objects.folder import FolderObjectStore

N = 11


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjectStore:
    return FolderObjectStore(tmp_path / "objects", synced=False)


def published(objects: FolderObjectStore, n_vectors: int = N) -> str:
    vectors = np.arange(n_vectors * 2, dtype="<f4").reshape(n_vectors, 2)
    files = {"images.jsonl": list(rows(N)), "vectors.npy": vectors}
    return publish(objects, "image-set", files, counts={}, parents=[], configuration={})


def test_each_image_comes_once_with_its_vector(objects: FolderObjectStore) -> None:
    batches = list(iterate_batches(objects, published(objects), N, 4))
    assert [len(images) for images, _ in batches] == [4, 4, 3]
    assert [image.image_id for images, _ in batches for image in images] == [row.image_id for row in rows(N)]
    np.testing.assert_array_equal(np.concatenate([vectors for _, vectors in batches])[:, 0], np.arange(0, 2 * N, 2))


def test_a_set_that_has_not_one_vector_an_image_is_refused_before_its_first_batch(objects: FolderObjectStore) -> None:
    with pytest.raises(DataLoss):
        next(iterate_batches(objects, published(objects, N - 1), N, 4))


def test_a_damaged_set_is_refused_when_it_is_counted(objects: FolderObjectStore, tmp_path: Path) -> None:
    uri = published(objects)
    assert count_images(objects, uri) == N
    digest = read_manifest(objects, uri).files["images.jsonl"].sha256
    path = next((tmp_path / "objects").rglob(digest))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(DataLoss):
        count_images(objects, uri)


def test_of_an_image_that_two_sets_describe_the_first_description_counts(objects: FolderObjectStore) -> None:
    uri = published(objects)
    row = next(rows(1))
    found = find_images(objects, [uri, uri], row.split, {row.image_id, "of no set"})
    assert [(image.image_id, image.modality) for image in found.values()] == [(row.image_id, row.modality)]
    assert find_images(objects, [uri], "no split", {row.image_id}) == {}
