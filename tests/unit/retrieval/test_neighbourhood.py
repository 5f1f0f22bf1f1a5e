import numpy as np

from services.retrieval.domain.similarity import Match, neighbourhood, tau_of_share
from tests.support.brute_force import best_matches


def unit_rows(n: int, seed: int, d: int = 3) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def cosines(prototypes: np.ndarray, pool: np.ndarray) -> list[tuple[int, str, float]]:
    """What an index gives: every cosine, prototype by prototype."""
    return [(j, f"{i:04d}", c) for j, row in enumerate(prototypes @ pool.T) for i, c in enumerate(row)]


def test_the_neighbourhood_is_every_image_with_cosine_above_tau_to_some_prototype():
    prototypes, pool = unit_rows(4, 0), unit_rows(200, 1)
    found = neighbourhood(cosines(prototypes, pool), 0.75)
    expected = [
        f"{i:04d}"
        for i, x in enumerate(pool)
        if any(sum(float(a) * float(b) for a, b in zip(p, x, strict=True)) > 0.75 for p in prototypes)
    ]
    assert [match.image_id for match in found] == expected != []


def test_each_image_has_its_nearest_prototype():
    prototypes, pool = unit_rows(5, 2), unit_rows(300, 3)
    found, exact = neighbourhood(cosines(prototypes, pool), 0.6), best_matches(prototypes, pool, 0.6)
    assert [(int(m.image_id), m.prototype) for m in found] == list(
        zip(exact.rows.tolist(), exact.prototype.tolist(), strict=True)
    )
    np.testing.assert_allclose([m.similarity for m in found], exact.similarity, rtol=1e-6)


def test_a_cosine_equal_to_tau_is_outside():
    tau = np.float32(0.7)
    found = [(0, "equal", float(tau)), (0, "above", float(np.nextafter(tau, np.float32(1))))]
    assert [match.image_id for match in neighbourhood(found, 0.7)] == ["above"]


def test_two_prototypes_alike_leave_an_image_to_the_first():
    assert neighbourhood([(0, "x", 1.0), (1, "x", 1.0)], 0.5) == [Match("x", 0, 1.0)]


def test_nothing_found_is_no_neighbourhood():
    assert neighbourhood([], 0.75) == []


def test_tau_of_a_share_leaves_exactly_that_share_of_the_pool_above_it():
    best = np.random.default_rng(0).permutation(np.linspace(-0.5, 0.9, 100, dtype=np.float32))
    for share in (0.001, 0.05, 0.07, 0.29, 0.5, 0.999, 1.0):
        tau = tau_of_share(best, share)
        assert int((best > np.float32(tau)).sum()) == int(round(100 * share, 6))


def test_equal_cosines_on_the_border_are_left_out():
    best = np.array([0.9, 0.8, 0.8, 0.8, 0.1], dtype=np.float32)
    assert int((best > np.float32(tau_of_share(best, 0.4))).sum()) == 1
    assert int((best > np.float32(tau_of_share(best, 0.8))).sum()) == 4
