"""Which pool images cover the rest best, beside what the model knows: a peer of the contrast that looks at no failure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from services.retrieval.domain.nearest import Vectors, nearest

_DIGITS = 6  # the last bits of a cosine depend on the processor; they decide nothing
_CELLS = 1 << 23  # numbers of the images that are read at a time: 32 MB


def k_centre(
    images: Vectors, references: Vectors, budget: int, on_taken: Callable[[int], None] = lambda taken: None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Greedy k-centre: again and again the image whose largest cosine to the references and to those already taken is smallest.

    Between unit vectors the nearest centre is that of the largest cosine: this is the core-set selection of Sener and Savarese
    (2018, arXiv 1708.00489, Algorithm 1), whose radius is at most twice the best one (Gonzalez 1985).

    Args:
        images: (n, d) float32, rows of unit norm; may be a memory map.
        references: (r, d) float32, rows of unit norm, r > 0: images that the model knows; may be a memory map.
        budget: At least 0; where it is above n, all images are taken.
        on_taken: Told after each how many have been taken; what it raises ends the work.

    Returns: (m,) rows of the images in the order in which they were taken, ties to the lowest row; and (m,) in [0, 2], six
        digits, 1 - that cosine of each when it was taken, which never rises.
    Raises: InvalidArgument: the dimensions differ, or there are no references.
    Cost: O(n (r + m) d) time, of which n m d reads the images anew for each one taken; memory for n cosines and one block.
    """
    largest = nearest(images, references, 1)[0][:, 0]
    taken: list[int] = []
    distances: list[float] = []
    for _ in range(min(budget, len(images))):
        row = int(np.round(largest, _DIGITS).argmin())  # the first of equals; what was taken is at infinity
        taken.append(row)
        distances.append(1 - float(largest[row]))
        _cover(largest, images, np.array(images[row]))
        largest[taken] = np.inf
        on_taken(len(taken))
    return np.array(taken, dtype=np.int64), np.array([round(one, _DIGITS) + 0.0 for one in distances], dtype=np.float64)


def _cover(largest: Vectors, images: Vectors, centre: Vectors) -> None:
    """Raise the largest cosine of each image to that with a new centre, block by block."""
    step = max(1, _CELLS // images.shape[1])
    for start in range(0, len(images), step):
        block = largest[start : start + step]
        np.maximum(block, np.asarray(images[start : start + step]) @ centre, out=block)
