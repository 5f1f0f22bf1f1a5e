"""Novelty, greedy k-centre and shuffled failures, against slow exact references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.domain import k_centre as k_centre_module
from services.retrieval.domain.contrast import shuffled_failures
from services.retrieval.domain.k_centre import k_centre
from services.retrieval.domain.novelty import novelty
from shared.errors import InvalidArgument
from tests.unit.retrieval.test_contrast import unit_rows


def cosine(first, second) -> float:
    return sum(float(a) * float(b) for a, b in zip(first, second, strict=True))


def slowly_largest(images, centres) -> list[float]:
    """Of each image the largest cosine to a centre, in plain loops."""
    return [max(cosine(image, centre) for centre in centres) for image in images]


def test_novelty_by_hand():
    """References at cosines 1, .6 and -1 of the first image: the nearest two count; of the second they are at .8 and 0."""
    references = np.array([[1, 0], [0.6, 0.8], [-1, 0]], dtype=np.float32)
    images = np.array([[1, 0], [0, 1]], dtype=np.float32)
    assert novelty(images, references, 2).tolist() == [pytest.approx(0.2), pytest.approx(0.6)]


@given(st.integers(1, 7), st.integers(0, 1000))
def test_novelty_is_the_equation_in_plain_loops(k, seed):
    images, references = unit_rows(20, seed), unit_rows(7, seed + 1)
    expected = [1 - sum(sorted((cosine(image, one) for one in references), reverse=True)[:k]) / k for image in images]
    np.testing.assert_allclose(novelty(images, references, k), expected, atol=2e-6)


def test_what_the_model_knows_is_not_new():
    known = unit_rows(9, 0)
    assert not novelty(known, known, 1).any()
    with pytest.raises(InvalidArgument, match="not so many"):
        novelty(known, known[:2], 3)


def test_k_centre_by_hand():
    """The reference looks east: west is farthest; then north and south are alike, and the first one is taken."""
    east, north, west, south = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], dtype=np.float32)
    rows, distances = k_centre(np.stack([east, south, north, west]), east[None], 4)
    assert rows.tolist() == [3, 1, 2, 0]
    assert distances.tolist() == [2, 1, 1, 0]


@given(st.integers(0, 25), st.integers(0, 1000))
def test_k_centre_takes_each_time_what_lies_farthest_with_every_distance_computed_anew(budget, seed):
    images, references = unit_rows(20, seed, d=3), unit_rows(3, seed + 1, d=3)
    rows, distances = k_centre(images, references, budget)
    assert len(set(rows.tolist())) == len(rows) == min(budget, 20)
    for place, row in enumerate(rows):
        largest = slowly_largest(images, [*references, *images[rows[:place]]])
        left = [largest[other] for other in range(20) if other not in rows[:place]]
        assert largest[row] <= min(left) + 2e-6  # six digits
        assert distances[place] == pytest.approx(1 - largest[row], abs=2e-6)


def test_equal_images_are_all_taken_in_their_order():
    images = np.repeat(unit_rows(1, 0), 4, axis=0)
    assert k_centre(images, unit_rows(1, 1), 9)[0].tolist() == [0, 1, 2, 3]


def test_a_mapped_pool_is_covered_block_by_block_with_the_same_result(tmp_path):
    n_images = k_centre_module._CELLS // 64 * 2 + 3
    images, references = unit_rows(n_images, 0, d=64), unit_rows(2, 1, d=64)
    np.save(tmp_path / "vectors.npy", images)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    rows, _ = k_centre(mapped, references, 3)
    centres = [*references]
    for row in rows:
        assert row == np.round(np.max(images @ np.stack(centres).T, axis=1), 6).argmin()
        centres.append(images[row])


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 100))
def test_shuffled_failures_are_the_same_dev_images_in_the_same_numbers(n_failed, n_others, seed):
    failed, others = unit_rows(n_failed, seed), unit_rows(n_others, seed + 1)
    first = shuffled_failures(failed, others, np.random.default_rng(seed))
    assert [part.shape for part in first] == [failed.shape, others.shape]
    before, after = np.concatenate([failed, others]), np.concatenate(first)
    assert sorted(after.tolist()) == sorted(before.tolist())
    again = shuffled_failures(failed, others, np.random.default_rng(seed))
    np.testing.assert_array_equal(after, np.concatenate(again))


def test_each_dev_image_may_be_taken_for_a_failure():
    """Of 2 failures among 8 images each image is one in a quarter of the permutations."""
    failed, others = unit_rows(2, 0), unit_rows(6, 1)
    rng, counts = np.random.default_rng(0), np.zeros(8)
    for _ in range(2000):
        shuffled, _ = shuffled_failures(failed, others, rng)
        counts += (np.concatenate([failed, others])[:, None] == shuffled[None]).all(axis=2).any(axis=1)
    np.testing.assert_allclose(counts / 2000, 0.25, atol=0.05)
