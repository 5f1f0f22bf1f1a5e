"""What every `VectorIndex` does. An adapter's test class inherits it and gives an empty index."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.retrieval.ports import IndexedImage, VectorIndex
from shared.errors import FailedPrecondition, InvalidArgument
from tests.support.brute_force import best_matches

ENCODER = "encoder-1"


def unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def images_of(n: int, split: str = "pool", modality: str = "ct") -> list[IndexedImage]:
    ids = sorted(hashlib.sha256(str(i).encode()).hexdigest() for i in range(n))
    return [IndexedImage(i, split, modality, i[:16], f"s-{i[:4]}", "", "", f"sha256:{i}") for i in ids]


def filled(index: VectorIndex, n: int, seed: int, d: int = 24) -> tuple[list[IndexedImage], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    vectors = unit_rows(rng.standard_normal((n, d)) + 1.5 * rng.standard_normal(d))
    images = images_of(n)
    index.upsert(ENCODER, images, vectors)
    return images, vectors


class VectorIndexSuite(ABC):
    @pytest.fixture
    @abstractmethod
    def index(self, tmp_path: Path) -> VectorIndex: ...

    @pytest.mark.parametrize(("seed", "tau"), [(0, 0.75), (1, 0.6), (2, -0.2), (3, 0.99)])
    def test_exact_search_equals_the_definition(self, index: VectorIndex, seed: int, tau: float) -> None:
        images, vectors = filled(index, 700, seed)
        rng = np.random.default_rng(seed + 100)
        prototypes = unit_rows(vectors[:5] + 0.1 * rng.standard_normal((5, vectors.shape[1])))
        expected = best_matches(prototypes, vectors, tau)
        found = index.find_near(prototypes, tau, "pool")
        assert [m.image_id for m in found] == [images[r].image_id for r in expected.rows.tolist()]
        assert [m.prototype for m in found] == expected.prototype.tolist()
        np.testing.assert_allclose([m.similarity for m in found], expected.similarity, atol=1e-6)

    def test_a_neighbourhood_may_hold_the_whole_pool(self, index: VectorIndex) -> None:
        images, vectors = filled(index, 1100, 5)
        found = index.find_near(vectors[:1], -1.0, "pool")
        assert [m.image_id for m in found] == [image.image_id for image in images]

    def test_a_cosine_equal_to_the_threshold_is_not_above_it(self, index: VectorIndex) -> None:
        vectors = np.array([[1, 0], [0.75, np.sqrt(1 - 0.75**2)], [0, 1]], dtype=np.float32)
        images = images_of(3)
        index.upsert(ENCODER, images, vectors)
        found = index.find_near(np.array([[1, 0]], dtype=np.float32), 0.75, "pool")
        assert [m.image_id for m in found] == [images[0].image_id]

    def test_equally_near_prototypes_give_the_first(self, index: VectorIndex) -> None:
        _, vectors = filled(index, 20, 0)
        found = index.find_near(np.stack([vectors[3], vectors[3]]), 0.5, "pool")
        assert {m.prototype for m in found} == {0}

    def test_only_the_split_is_searched(self, index: VectorIndex) -> None:
        images, vectors = filled(index, 30, 0)
        index.upsert(ENCODER, [replace(image, split="dev") for image in images[:7]], vectors[:7])
        assert {m.image_id for m in index.find_near(vectors[:1], -0.99, "dev")} == {i.image_id for i in images[:7]}
        assert index.count_by_split() == {"dev": 7, "pool": 30}
        assert index.missing([i.image_id for i in images], "dev") == {i.image_id for i in images[7:]}

    def test_the_same_upsert_again_changes_nothing_and_a_new_description_replaces(self, index: VectorIndex) -> None:
        images, vectors = filled(index, 10, 0)
        index.upsert(ENCODER, images, vectors)
        index.upsert(ENCODER, [replace(images[0], modality="mri")], vectors[:1])
        assert index.count_by_split() == {"pool": 10}
        assert [hit.image.modality for hit in index.search(vectors[0], 1)] == ["mri"]

    def test_interactive_search_gives_the_nearest_first_and_filters(self, index: VectorIndex) -> None:
        images, vectors = filled(index, 50, 0)
        index.upsert(ENCODER, [replace(image, modality="mri") for image in images[25:]], vectors[25:])
        index.upsert(ENCODER, [replace(images[0], split="dev")], vectors[:1])
        hits = index.search(vectors[0], 5)
        assert hits[0].image.image_id == images[0].image_id
        assert len({hit.image.image_id for hit in hits}) == 5
        assert [h.similarity for h in hits] == sorted((h.similarity for h in hits), reverse=True)
        assert {hit.image.modality for hit in index.search(vectors[0], 50, modality="mri")} == {"mri"}
        assert [hit.image for hit in index.search(vectors[0], 9, split="dev")] == [replace(images[0], split="dev")]

    def test_an_empty_index_finds_nothing(self, index: VectorIndex) -> None:
        query = np.array([1, 0], dtype=np.float32)
        assert index.find_near(query[None], 0.5, "pool") == []
        assert index.search(query, 3) == []
        assert index.count_by_split() == {}
        assert index.missing(["a"], "pool") == {"a"}

    def test_no_prototype_finds_nothing(self, index: VectorIndex) -> None:
        _, vectors = filled(index, 5, 0)
        assert index.find_near(vectors[:0], 0.5, "pool") == []

    @pytest.mark.parametrize("rows", [[[0.5, 0.0]], [[np.nan, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
    def test_wrong_vectors_are_refused(self, index: VectorIndex, rows: Sequence[Sequence[float]]) -> None:
        with pytest.raises(InvalidArgument):
            index.upsert(ENCODER, images_of(1), np.array(rows, dtype=np.float32))

    def test_another_dimension_and_another_encoder_are_refused(self, index: VectorIndex) -> None:
        _, vectors = filled(index, 3, 0)
        short = np.array([[1, 0]], dtype=np.float32)
        with pytest.raises(InvalidArgument, match="dimension"):
            index.find_near(short, 0.5, "pool")
        with pytest.raises(InvalidArgument, match="dimension"):
            index.search(short[0], 1)
        with pytest.raises(FailedPrecondition, match="another encoder"):
            index.upsert("encoder-2", images_of(3), vectors)

    def test_building_graphs_leaves_the_exact_result_alone(self, index: VectorIndex) -> None:
        _, vectors = filled(index, 300, 4)
        before = index.find_near(vectors[:3], 0.6, "pool")
        index.optimize()
        assert index.find_near(vectors[:3], 0.6, "pool") == before
