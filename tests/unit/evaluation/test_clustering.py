import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score, silhouette_score

from services.evaluation.domain.clustering import cluster_failures
from shared.errors import InvalidArgument


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def planted(n_clusters: int, n_each: int, d: int = 16, spread: float = 0.15, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(n_clusters, d)))
    return unit(np.repeat(centres, n_each, axis=0) + spread * rng.normal(size=(n_clusters * n_each, d)) / np.sqrt(d))


@pytest.mark.parametrize("seed", range(4))
def test_every_silhouette_is_scikit_learns_on_its_own_average_linkage(seed):
    x = np.random.default_rng(seed).normal(size=(90, 6))
    ours = cluster_failures(x, max_clusters=20)
    assert sorted(ours.silhouettes) == list(range(2, 21))
    for k, value in ours.silhouettes.items():
        labels = AgglomerativeClustering(n_clusters=k, metric="cosine", linkage="average").fit_predict(x)
        assert value == pytest.approx(silhouette_score(x, labels, metric="cosine"), abs=1e-6)
    best = AgglomerativeClustering(n_clusters=ours.n_clusters, metric="cosine", linkage="average").fit_predict(x)
    assert adjusted_rand_score(ours.labels, best) == 1
    assert ours.n_clusters == max(ours.silhouettes, key=ours.silhouettes.get)


@pytest.mark.parametrize("n_clusters", [2, 5, 12])
def test_planted_clusters_are_found_and_their_number_chosen(n_clusters):
    found = cluster_failures(planted(n_clusters, 15), max_clusters=20)
    assert found.n_clusters == n_clusters
    assert adjusted_rand_score(found.labels, np.repeat(np.arange(n_clusters), 15)) == 1


def test_order_of_points_does_not_change_the_partition():
    x = planted(4, 10)
    order = np.random.default_rng(1).permutation(len(x))
    first, second = cluster_failures(x, max_clusters=9), cluster_failures(x[order], max_clusters=9)
    assert adjusted_rand_score(first.labels[order], second.labels) == 1


def test_clusters_are_numbered_by_first_member():
    labels = cluster_failures(planted(3, 4), max_clusters=6).labels
    assert labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_no_failures_have_no_clusters():
    found = cluster_failures(np.zeros((0, 8)))
    assert (found.n_clusters, found.labels.tolist(), found.silhouettes) == (0, [], {})


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_failures_are_one_cluster(n):
    found = cluster_failures(np.eye(4)[:n])
    assert (found.n_clusters, found.labels.tolist(), found.silhouettes) == (1, [0] * n, {})


def test_points_that_are_all_the_same_are_one_cluster():
    found = cluster_failures(np.tile(np.random.default_rng(0).normal(size=5).astype(np.float32), (30, 1)))
    assert found.n_clusters == 1


def test_repeated_points_never_give_more_clusters_than_distinct_points():
    x = np.repeat(np.eye(3), 5, axis=0)
    found = cluster_failures(x, max_clusters=10)
    assert found.n_clusters == 3
    assert found.silhouettes[3] == pytest.approx(1.0)


def test_three_failures_try_two_clusters_only():
    x = np.array([[1.0, 0.0], [0.99, 0.1], [0.0, 1.0]])
    found = cluster_failures(x)
    assert list(found.silhouettes) == [2]
    assert found.labels.tolist() == [0, 0, 1]


def test_equal_silhouettes_go_to_the_smallest_number_of_clusters():
    found = cluster_failures(np.eye(6), max_clusters=5)
    assert set(found.silhouettes.values()) == {0.0}
    assert found.n_clusters == 2


def test_too_many_points_are_grouped_before_they_are_linked():
    x = planted(6, 60)
    found = cluster_failures(x, max_clusters=12, max_linked=300)
    assert found.n_clusters == 6
    assert found.silhouettes[6] == pytest.approx(silhouette_score(x, found.labels, metric="cosine"), abs=1e-6)


@pytest.mark.parametrize("bad", [np.zeros((3, 2)), np.full((3, 2), np.nan), np.ones(3)])
def test_points_without_direction_are_refused(bad):
    with pytest.raises(InvalidArgument):
        cluster_failures(bad)


def test_fewer_than_two_clusters_cannot_be_tried():
    with pytest.raises(InvalidArgument):
        cluster_failures(np.eye(3), max_clusters=1)
