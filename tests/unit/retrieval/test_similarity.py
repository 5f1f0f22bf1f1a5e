import numpy as np
import pytest

from services.retrieval.domain import similarity
from services.retrieval.domain.similarity import best_matches, neighbourhood
from shared.errors import InvalidArgument


def unit_rows(n: int, seed: int, d: int = 3) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def test_neighbourhood_is_every_image_with_cosine_above_tau():
    prototypes, pool = unit_rows(4, 0), unit_rows(200, 1)
    found = neighbourhood(prototypes, pool, 0.75)
    for prototype, rows in zip(prototypes, found, strict=True):
        expected = [
            i
            for i, x in enumerate(pool)
            if sum(float(a) * float(b) for a, b in zip(prototype, x, strict=True)) > 0.75
        ]
        assert rows.tolist() == expected
    assert sum(map(len, found)) > 0


def test_a_cosine_equal_to_tau_is_outside():
    prototype = np.array([[1.0, 0.0]], dtype=np.float32)
    pool = np.array([[0.75, np.sqrt(1 - 0.75**2)], [0.7500001, 0.6614378]], dtype=np.float32)
    assert neighbourhood(prototype, pool, 0.75)[0].tolist() == [1]
    assert best_matches(prototype, pool, 0.75).rows.tolist() == [1]


def test_best_matches_are_the_union_of_neighbourhoods_each_with_its_nearest_prototype():
    prototypes, pool = unit_rows(5, 2), unit_rows(300, 3)
    found = best_matches(prototypes, pool, 0.6)
    assert found.rows.tolist() == sorted(set(np.concatenate(neighbourhood(prototypes, pool, 0.6)).tolist()))
    cosines = pool[found.rows] @ prototypes.T
    np.testing.assert_array_equal(found.prototype, cosines.argmax(axis=1))
    np.testing.assert_allclose(found.similarity, cosines.max(axis=1), rtol=1e-6)


def test_two_prototypes_alike_leave_an_image_to_the_first():
    prototypes, pool = np.ones((2, 1), dtype=np.float32), np.ones((3, 1), dtype=np.float32)
    assert best_matches(prototypes, pool, 0.5).prototype.tolist() == [0, 0, 0]


def test_a_pool_larger_than_a_block_is_searched_whole():
    pool = np.full((similarity._BLOCK + 5, 1), -1, dtype=np.float32)
    pool[[0, similarity._BLOCK, similarity._BLOCK + 4]] = 1
    one = np.ones((1, 1), dtype=np.float32)
    expected = [0, similarity._BLOCK, similarity._BLOCK + 4]
    assert (
        neighbourhood(one, pool, 0.75)[0].tolist() == best_matches(one, pool, 0.75).rows.tolist() == expected
    )


def test_no_prototypes_or_no_pool_find_nothing():
    assert neighbourhood(unit_rows(0, 0), unit_rows(3, 0), 0.75) == ()
    assert best_matches(unit_rows(0, 0), unit_rows(3, 0), 0.75).rows.tolist() == []
    assert best_matches(unit_rows(2, 0), unit_rows(0, 0), 0.75).rows.tolist() == []


def test_different_encoders_and_impossible_thresholds_are_refused():
    with pytest.raises(InvalidArgument):
        neighbourhood(unit_rows(2, 0, 3), unit_rows(2, 0, 4), 0.75)
    with pytest.raises(InvalidArgument):
        best_matches(unit_rows(2, 0), unit_rows(2, 0), 1.1)
