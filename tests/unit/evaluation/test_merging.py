import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.evaluation.domain.clustering import Clustering
from services.evaluation.domain.merging import merge_small

EAST, NORTH, NORTH_EAST = [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]


def merged(labels, features, min_size):
    clustering = Clustering(np.array(labels), len(set(labels)), {2: 0.5})
    found = merge_small(clustering, np.array(features), min_size)
    assert found.silhouettes == {2: 0.5}
    return found.labels.tolist(), found.n_clusters


def test_a_small_cluster_joins_the_nearest_that_is_large_enough():
    features = [EAST, EAST, NORTH_EAST, NORTH, NORTH]
    assert merged([0, 0, 1, 2, 2], features, 2) == ([0, 0, 1, 1, 1], 2)


def test_clusters_that_are_large_enough_stay():
    features = [EAST, EAST, NORTH, NORTH]
    assert merged([0, 0, 1, 1], features, 2) == ([0, 0, 1, 1], 2)
    assert merged([0, 1, 2, 3], features, 1) == ([0, 1, 2, 3], 4)


def test_where_none_is_large_enough_all_are_one():
    assert merged([0, 1, 2], [EAST, NORTH, NORTH_EAST], 2) == ([0, 0, 0], 1)


def test_length_plays_no_part_and_ties_go_to_the_lower_number():
    features = [[9.0, 0.0], EAST, [1.0, 1.0], NORTH, [0.0, 5.0]]
    assert merged([0, 0, 1, 2, 2], features, 2) == ([0, 0, 0, 1, 1], 2)


def test_a_large_cluster_without_a_direction_is_the_farthest():
    features = [EAST, [-1.0, 0.0], NORTH_EAST, NORTH, NORTH]
    assert merged([0, 0, 1, 2, 2], features, 2) == ([0, 0, 1, 1, 1], 2)


def test_no_points_have_no_clusters():
    assert merge_small(Clustering(np.zeros(0, dtype=np.int64), 0, {}), np.zeros((0, 2)), 2).n_clusters == 0


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 6), st.integers(0, 99))
def test_no_cluster_is_broken_and_none_is_too_small_unless_it_is_the_only_one(names, min_size, seed):
    _, labels = np.unique(names, return_inverse=True)
    features = np.random.default_rng(seed).normal(size=(len(labels), 3))
    found = merge_small(Clustering(labels, int(labels.max()) + 1, {}), features, min_size)
    sizes = np.bincount(found.labels)
    assert len(sizes) == found.n_clusters
    assert sizes.sum() == len(labels)
    assert found.n_clusters == 1 or sizes.min() >= min_size
    assert all(len(set(found.labels[labels == label])) == 1 for label in set(labels.tolist()))
