"""Failure prototypes: of each cluster its members, its capability profile and its visual centroid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.evaluation.domain.clustering import Clustering
from services.evaluation.domain.features import unit_rows
from shared.errors import InvalidArgument
from shared.rows.benchmark import Item
from shared.rows.failures import PrototypeRow

_CANCELLED = 1e-6  # norm of a mean of unit vectors below which it has no direction


def prototypes(
    clustering: Clustering, visual: NDArray[np.floating], items: Sequence[Item], cells: Sequence[str]
) -> tuple[list[PrototypeRow], NDArray[np.float32]]:
    """One prototype p_j for each cluster: its members, its capability profile and p_j^vis, the visual part of its centroid.

    The centroid of joint features is the concatenation of its parts' means, up to the parts' constant weights, so its
    visual part is the mean of the members' unit visual vectors, here scaled back to unit norm. Where they cancel out it
    is the first member's vector.

    Args:
        clustering: Of n failures.
        visual: (n, d_v) image embeddings of the failures, no row zero.
        items: (n,) the items that failed.
        cells: (n,) their cells; a profile is the share of the members in each.

    Returns: Prototypes, the largest first, ties by first member, `p000` and so on; and (p, d_v) their p_j^vis, the
        anchors of Eq. 2, rows of unit norm.
    Raises: InvalidArgument: lengths differ, or an image vector has no direction.
    Source: section 2.2; the capability profile is ours.
    """
    if not len(clustering.labels) == len(visual) == len(items) == len(cells):
        raise InvalidArgument("Each failure has one label and one vector.", field="visual", value=len(visual))
    if clustering.n_clusters == 0:
        return [], np.zeros((0, visual.shape[1]), dtype=np.float32)
    x = unit_rows(visual, "visual")
    groups = [np.flatnonzero(clustering.labels == label).tolist() for label in range(clustering.n_clusters)]
    groups.sort(key=lambda rows: (-len(rows), rows[0]))
    found = []
    for rank, rows in enumerate(groups):
        members = Counter(cells[row] for row in rows)
        found.append(
            PrototypeRow(
                prototype_id=f"p{rank:03d}",
                members=tuple(sorted(items[row].item_id for row in rows)),
                image_ids=tuple(sorted({items[row].image_id for row in rows})),
                profile={cell: members[cell] / len(rows) for cell in sorted(members)},
                size=len(rows),
            )
        )
    return found, np.stack([_direction(x[rows]) for rows in groups])


def _direction(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    mean = rows.mean(axis=0)
    norm = float(np.linalg.norm(mean))
    direction: NDArray[np.float32] = (mean / norm if norm > _CANCELLED else rows[0]).astype(np.float32)
    return direction
