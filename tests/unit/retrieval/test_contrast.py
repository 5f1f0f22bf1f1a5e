import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.domain import nearest as nearest_module
from services.retrieval.domain.contrast import cells_of, failure_contrast
from services.retrieval.domain.nearest import nearest
from shared.errors import InvalidArgument


def unit_rows(n: int, seed: int, d: int = 6) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def slow_contrast(image, failed, never_failed, k) -> float:
    """The equation as it is written, in plain loops."""

    def mean_of_nearest(anchors) -> float:
        cosines = [sum(float(a) * float(b) for a, b in zip(image, anchor, strict=True)) for anchor in anchors]
        return sum(sorted(cosines, reverse=True)[:k]) / k

    return mean_of_nearest(failed) - mean_of_nearest(never_failed)


def test_contrast_by_hand():
    """One image along x: failed at cosines 1 and .6, successes at .8 and 0; the third of each sort is too far to count."""
    image = np.array([[1, 0, 0]], dtype=np.float32)
    failed = np.array([[-1, 0, 0], [0.6, 0.8, 0], [1, 0, 0]], dtype=np.float32)
    never_failed = np.array([[0, 1, 0], [0.8, 0, 0.6], [0, -1, 0]], dtype=np.float32)
    found = failure_contrast(image, failed, never_failed, 2)
    assert found.value.tolist() == [pytest.approx((1 + 0.6) / 2 - (0.8 + 0) / 2)]
    assert found.failures.tolist() == [[2, 1]]


@given(st.integers(1, 6), st.integers(0, 1000))
def test_contrast_is_the_equation_in_plain_loops(k, seed):
    images, failed, never_failed = unit_rows(20, seed), unit_rows(7, seed + 1), unit_rows(11, seed + 2)
    found = failure_contrast(images, failed, never_failed, k)
    expected = [slow_contrast(image, failed, never_failed, k) for image in images]
    np.testing.assert_allclose(found.value, expected, atol=2e-6)


def test_what_is_common_to_failures_and_successes_has_no_contrast():
    both, failed, image = unit_rows(5, 0), unit_rows(5, 1), unit_rows(30, 2)
    assert not failure_contrast(image, both, both, 3).value.any()
    assert (failure_contrast(failed, failed, both, 1).value > 0).all()
    assert (failure_contrast(both, failed, both, 1).value < 0).all()


def test_many_images_are_compared_block_by_block_with_the_same_result(tmp_path):
    """More cosines than one block holds, from a file that is mapped and not read."""
    n_anchors = 64
    n_images = 3 * nearest_module._CELLS // n_anchors + 5
    images, anchors = unit_rows(n_images, 0, d=3), unit_rows(n_anchors, 1, d=3)
    np.save(tmp_path / "vectors.npy", images)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    cosines, rows = nearest(mapped, anchors, 2)
    some = np.random.default_rng(2).integers(0, n_images, 500)
    whole = images[some] @ anchors.T
    np.testing.assert_array_equal(rows[some], np.argsort(-whole, axis=1, kind="stable")[:, :2])
    np.testing.assert_allclose(cosines[some], -np.sort(-whole, axis=1)[:, :2], rtol=1e-6)


def test_equal_cosines_are_ranked_by_row():
    anchors = np.array([[0, 1], [1, 0], [1, 0], [1, 0]], dtype=np.float32)
    assert nearest(np.array([[1, 0]], dtype=np.float32), anchors, 2)[1].tolist() == [[1, 2]]


def test_too_few_anchors_and_other_dimensions_are_refused():
    with pytest.raises(InvalidArgument, match="not so many"):
        failure_contrast(unit_rows(3, 0), unit_rows(5, 1), unit_rows(2, 2), 3)
    with pytest.raises(InvalidArgument, match="different dimensions"):
        failure_contrast(unit_rows(3, 0), unit_rows(5, 1, d=4), unit_rows(5, 2), 3)


def test_the_cell_of_an_image_is_the_one_that_most_of_its_nearest_failures_are_of():
    """The first failure is half a, half b; the second and third are b and c: b has .5 + 1, of three."""
    failed = [{"a": 1, "b": 1}, {"b": 4}, {"c": 1}]
    assert cells_of(np.array([[0, 1, 2], [0, 0, 2], [2, 2, 1]]), failed, ["a", "b", "c"]).tolist() == [1, 0, 2]


def test_cells_that_do_not_count_play_no_part():
    failed = [{"a": 3, "b": 1}, {"a": 5}]
    assert cells_of(np.array([[0, 1], [1, 1]]), failed, ["b", "c"]).tolist() == [0, -1]
    assert cells_of(np.array([[0, 1]]), failed, []).tolist() == [-1]
