"""Which pool images are unlike what the model knows: a peer of the contrast that looks at no failure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.retrieval.domain.nearest import Vectors, nearest

_DIGITS = 6  # the last bits of a cosine depend on the processor; they decide nothing


def novelty(images: Vectors, references: Vectors, neighbours: int) -> NDArray[np.float64]:
    """1 - mean cosine to the k nearest reference images: how far an image lies from what the model was trained on.

    The mean distance to the nearest k is a score of outliers (Angiulli and Pizzuti 2002); of features of a network, the distance
    finds what the model was not trained on (Sun et al. 2022, arXiv 2204.06507).

    Args:
        images: (n, d) float32, rows of unit norm; may be a memory map.
        references: (r, d) float32, rows of unit norm: images that the model knows; may be a memory map.
        neighbours: k, in 1..r.

    Returns: (n,) in [0, 2], six digits; the larger, the less known.
    Raises: InvalidArgument: the dimensions differ, or there are fewer than k reference images.
    Cost: O(n r d) time; beside the result, memory for one block of cosines, whatever n is.
    """
    cosines, _ = nearest(images, references, neighbours)
    values: NDArray[np.float64] = np.round(1 - cosines.mean(axis=1, dtype=np.float64), _DIGITS) + 0.0
    return values
