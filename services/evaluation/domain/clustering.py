"""Clusters of failures: average linkage, their number by the silhouette criterion. It knows no items, only vectors.

Distances are cosine on unit rows, and that is what makes the silhouette cheap: the distances from a point x to all of
a cluster C sum to |C| - x . sum(C), so no pairwise matrix is needed once the dendrogram stands. One product with the
cluster sums at the finest cut serves every coarser cut, because merging two clusters adds their two columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import fastcluster
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from services.evaluation.domain.features import unit_rows
from shared.errors import InvalidArgument

MAX_LINKED = 20_000  # points in one linkage: 1.6 GB of distances; above it the points are grouped first
_BLOCK = 1024  # rows of the distance matrix computed at once
_SAME = 1e-6  # cosine distance below which two points are one point (float32 features)


@dataclass(frozen=True, eq=False)
class Clustering:
    """A partition of n points.

    Attributes:
        labels: (n,) int64 cluster of each point, numbered in order of first member.
        n_clusters: N_c; 0 without points.
        silhouettes: Mean silhouette of every number of clusters that was tried; empty where none is defined.
    """

    labels: NDArray[np.int64]
    n_clusters: int
    silhouettes: dict[int, float]


def cluster_failures(
    features: NDArray[np.floating], *, max_clusters: int = 64, seed: int = 0, max_linked: int = MAX_LINKED
) -> Clustering:
    """Average-linkage clusters under cosine distance, cut where the mean silhouette is largest.

    Every k in 2 .. min(max_clusters, n - 1) is tried; equal silhouettes go to the smallest k. The silhouette is not
    defined for one cluster or for n clusters, so fewer than three points, and points that are all the same, are one
    cluster. Above `max_linked` points the linkage is of `max_linked` / 10 groups found by mini-batch k-means, each counted as
    one point; the silhouettes are still those of all points.

    Args:
        features: (n, d) joint features, finite, no row zero; not modified.
        max_clusters: Largest number of clusters to try, at least 2.
        seed: For the grouping of too many points only.
        max_linked: Most points in one linkage, at least 20.

    Returns: The clustering; deterministic.
    Raises: InvalidArgument: a row has no direction, or a parameter is out of range.
    Cost: O(n^2 d) time for the distances, 4 n^2 bytes; each silhouette O(n k) more.
    Source: section 2.2 of the paper; Muellner 2013 (fastcluster); Rousseeuw 1987 (silhouette).
    """
    if max_clusters < 2:
        raise InvalidArgument("At least two clusters must be tried.", field="max_clusters", value=max_clusters)
    if max_linked < 20:
        raise InvalidArgument("At least twenty points must be linked.", field="max_linked", value=max_linked)
    n = len(features)
    if n == 0:
        return Clustering(np.zeros(0, dtype=np.int64), 0, {})
    x = unit_rows(features, "features")
    if n < 3 or float((x @ x[0]).min()) > 1 - _SAME:
        return Clustering(np.zeros(n, dtype=np.int64), 1, {})
    groups, means = (np.arange(n), x) if n <= max_linked else _groups(x, max_linked // 10, seed)
    cuts = _cuts(_linkage(means.astype(np.float32)), groups, min(max_clusters, n - 1))
    silhouettes = _silhouettes(x, cuts)
    best = max(silhouettes, key=lambda k: (silhouettes[k], -k))
    return Clustering(numbered(cuts[best]), best, silhouettes)


def _groups(x: NDArray[np.float64], n_groups: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n,) group 0 .. m-1 of each point, m <= n_groups, none empty; and (m, d) the unit mean of each."""
    kmeans = MiniBatchKMeans(n_clusters=n_groups, random_state=seed, n_init=1, batch_size=8192)
    _, groups = np.unique(kmeans.fit_predict(x.astype(np.float32)), return_inverse=True)
    sums = np.zeros((int(groups.max()) + 1, x.shape[1]))
    np.add.at(sums, groups, x)
    return groups.astype(np.int64), unit_rows(sums, "features")


def _linkage(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """(m - 1, 4) average-linkage merges of unit rows; one condensed distance matrix, overwritten in place."""
    m = len(x)
    condensed = np.empty(m * (m - 1) // 2, dtype=np.float64)
    end = 0
    for start in range(0, m, _BLOCK):
        cosine = x[start : start + _BLOCK] @ x[start:].T
        for row in range(len(cosine)):
            begin, end = end, end + m - 1 - start - row
            np.subtract(1.0, cosine[row, row + 1 :], out=condensed[begin:end])
    np.maximum(condensed, 0.0, out=condensed)
    merges: NDArray[np.float64] = fastcluster.linkage(condensed, method="average", preserve_input=False)
    return merges


def _cuts(merges: NDArray[np.float64], groups: NDArray[np.int64], k_max: int) -> dict[int, NDArray[np.int64]]:
    """Labels (n,) of each cut k = k_max .. 2, finest first; a cut undoes the last k - 1 merges, whatever their height.

    Going from k to k - 1 clusters relabels the members of one cluster only.
    """
    m = len(merges) + 1
    k_max = min(k_max, m)
    node = np.arange(2 * m - 1)  # the node of the finest cut, and then of the present one, above each node
    for step in range(m - k_max):
        left, right = merges[step, :2].astype(int)
        node[left] = node[right] = m + step
    for child in range(m + m - k_max - 1, -1, -1):
        node[child] = node[node[child]]
    labels = node[groups]
    cuts = {k_max: labels}
    for step in range(m - k_max, m - 2):
        labels = np.where(np.isin(labels, merges[step, :2].astype(int)), m + step, labels)
        cuts[m - step - 1] = labels
    return cuts


def _silhouettes(x: NDArray[np.float64], cuts: dict[int, NDArray[np.int64]]) -> dict[int, float]:
    """Mean silhouette of each cut; a point alone in its cluster has silhouette 0, as Rousseeuw defines it."""
    finest = cuts[max(cuts)]
    names, columns = np.unique(finest, return_inverse=True)
    sizes = np.bincount(columns).astype(np.float64)
    sums = np.zeros((len(names), x.shape[1]))
    np.add.at(sums, columns, x)
    distances = sizes - x @ sums.T  # (n, k) sum of the distances from each point to each cluster
    scores = {}
    for k in sorted(cuts, reverse=True):
        if k < len(names):
            # The new node's name is the largest: its column takes the place of the two that it joins.
            new = np.setdiff1d(np.unique(cuts[k]), names)
            joined = ~np.isin(names, cuts[k])
            distances = np.column_stack([distances[:, ~joined], distances[:, joined].sum(axis=1)])
            sizes = np.append(sizes[~joined], sizes[joined].sum())
            names = np.append(names[~joined], new)
        scores[k] = _silhouette(distances, sizes, np.searchsorted(names, cuts[k]))
    return dict(sorted(scores.items()))


def _silhouette(distances: NDArray[np.float64], sizes: NDArray[np.float64], own: NDArray[np.intp]) -> float:
    """Mean of (b - a) / max(a, b) from the summed distances (n, k) to each cluster and each point's own cluster."""
    points = np.arange(len(own))
    inside = distances[points, own] / np.maximum(sizes[own] - 1, 1)
    outside = distances / sizes
    outside[points, own] = np.inf
    a, b = (np.where(np.abs(d) < 1e-12, 0.0, d) for d in (inside, outside.min(axis=1)))
    larger = np.maximum(a, b)
    score = np.divide(b - a, larger, out=np.zeros_like(a), where=larger > 0)
    return float(np.where(sizes[own] > 1, score, 0.0).mean())


def numbered(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same partition (n,), its clusters numbered from 0 in order of first member."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return rank[inverse].astype(np.int64)
