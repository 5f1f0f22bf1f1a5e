"""A smallest prototype: clusters of too few failures join the nearest cluster that has enough. It knows only vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.evaluation.domain.clustering import Clustering, numbered
from services.evaluation.domain.features import unit_rows


def merge_small(clustering: Clustering, features: NDArray[np.floating], min_size: int) -> Clustering:
    """The clustering without clusters of fewer than `min_size` points; no point is lost.

    Each small cluster goes as a whole to the cluster of enough points whose centroid, the mean of its unit rows, has the
    largest cosine to its own; ties to the lower number. Where no cluster has enough points, all form one. Centroids are
    those before any merge, so the order of merges plays no part.

    Args:
        clustering: Of n points.
        features: (n, d) what was clustered, finite, no row zero; not modified.
        min_size: Fewest points of a cluster; up to 1 changes nothing.

    Returns: A clustering of the same n points, numbered in order of first member, with the same silhouettes.
    Source: ours; a failure that resembles no other is no direction to search in, and is not left out either.
    """
    sizes = np.bincount(clustering.labels, minlength=clustering.n_clusters)
    is_large = sizes >= min_size
    if is_large.all():
        return clustering
    if not is_large.any():
        return Clustering(np.zeros_like(clustering.labels), 1, clustering.silhouettes)
    sums = np.zeros((clustering.n_clusters, features.shape[1]))
    np.add.at(sums, clustering.labels, unit_rows(features, "features"))
    # The cosine to each large centroid; that of the small one has the same norm in all of them and may be left out.
    large = np.flatnonzero(is_large)
    norms = np.linalg.norm(sums[large], axis=1)
    cosines = np.divide(sums @ sums[large].T, norms, out=np.full((len(sums), len(large)), -1.0), where=norms > 0)
    target = np.where(is_large, np.arange(len(sums)), large[np.argmax(cosines, axis=1)])
    return Clustering(numbered(target[clustering.labels]), len(large), clustering.silhouettes)
