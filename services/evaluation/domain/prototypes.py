"""Failure prototypes: of each cluster its members, its capability profile and its visual centroid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.evaluation.domain.clustering import Clustering
from services.evaluation.domain.features import unit_rows
from shared.errors import InvalidArgument

_CANCELLED = 1e-6  # norm of a mean of unit vectors below which it has no direction


@dataclass(frozen=True, eq=False)
class Prototype:
    """A failure prototype p_j.

    Attributes:
        prototype_id: "p000" for the largest cluster, and so on.
        members: Item ids, sorted.
        image_ids: Their images, sorted, each once.
        profile: Capability label to the share of members that carry it, in (0, 1].
        visual: (d_v,) float32 unit vector p_j^vis, the anchor of Eq. 2.
    """

    prototype_id: str
    members: tuple[str, ...]
    image_ids: tuple[str, ...]
    profile: dict[str, float]
    visual: NDArray[np.float32]


def prototypes(
    clustering: Clustering,
    visual: NDArray[np.floating],
    item_ids: Sequence[str],
    image_ids: Sequence[str],
    capabilities: Sequence[Sequence[str]],
) -> tuple[Prototype, ...]:
    """One prototype p_j for each cluster: its members, its capability profile and p_j^vis, the visual part of its centroid.

    The centroid of joint features is the concatenation of its parts' means, up to the parts' constant weights, so its
    visual part is the mean of the members' unit visual vectors, here scaled back to unit norm. Where they cancel out it
    is the first member's vector.

    Args:
        clustering: Of n failures.
        visual: (n, d_v) image embeddings of the failures, no row zero.
        item_ids: (n,) their item ids.
        image_ids: (n,) their image ids.
        capabilities: (n,) their capability labels.

    Returns: Prototypes, the largest first, ties by first member.
    Raises: InvalidArgument: lengths differ, or an image vector has no direction.
    Source: section 2.2; the capability profile is ours.
    """
    sizes = {len(clustering.labels), len(visual), len(item_ids), len(image_ids), len(capabilities)}
    if len(sizes) != 1:
        raise InvalidArgument(
            "Each failure has one label, vector, item and image.", field="visual", value=len(visual)
        )
    if clustering.n_clusters == 0:
        return ()
    x = unit_rows(visual, "visual")
    groups = [np.flatnonzero(clustering.labels == label).tolist() for label in range(clustering.n_clusters)]
    found = []
    for rank, rows in enumerate(sorted(groups, key=lambda rows: (-len(rows), rows[0]))):
        labels = [label for row in rows for label in set(capabilities[row])]
        found.append(
            Prototype(
                prototype_id=f"p{rank:03d}",
                members=tuple(sorted(item_ids[row] for row in rows)),
                image_ids=tuple(sorted({image_ids[row] for row in rows})),
                profile={label: labels.count(label) / len(rows) for label in sorted(set(labels))},
                visual=_direction(x[rows]),
            )
        )
    return tuple(found)


def _direction(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    mean = rows.mean(axis=0)
    norm = float(np.linalg.norm(mean))
    direction: NDArray[np.float32] = (mean / norm if norm > _CANCELLED else rows[0]).astype(np.float32)
    return direction
