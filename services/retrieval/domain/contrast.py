"""Which pool images look like failures and unlike successes, and like which failures: beside Eq. 2, not of the paper.

Nearness to failures alone finds what is common in the pool. The difference of two nearnesses finds what fails: it is relevance
feedback (Rocchio 1971) with failed development images as relevant and successes as not. Only the nearest few count, as in
slice discovery (Domino: Eyuboglu et al. 2022), which looks for errors that lie together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.retrieval.domain.nearest import Vectors, nearest

_DIGITS = 6  # the last bits of a cosine depend on the processor; they decide nothing


@dataclass(frozen=True, eq=False)
class Contrast:
    """What was found of n images.

    Attributes:
        value: (n,) float64 in [-2, 2], six digits; above 0 an image is nearer to failures than to successes.
        failures: (n, k) int64 rows of its nearest failed images, the nearest first.
    """

    value: NDArray[np.float64]
    failures: NDArray[np.int64]


def failure_contrast(images: Vectors, failed: Vectors, never_failed: Vectors, neighbours: int) -> Contrast:
    """contrast(x) = mean cosine to the k nearest failed dev images - mean cosine to the k nearest that never failed.

    Args:
        images: (n, d) float32, rows of unit norm; may be a memory map.
        failed: (f, d) float32, rows of unit norm: dev images about which some item is a failure.
        never_failed: (s, d) float32, rows of unit norm: dev images about which none is.
        neighbours: k, in 1..min(f, s).

    Returns: The contrast of each image.
    Raises: InvalidArgument: the dimensions differ, or there are fewer than k images of either sort.
    Cost: O(n (f + s) d) time; beside the result, memory for one block of cosines, whatever n is.
    """
    to_failed, rows = nearest(images, failed, neighbours)
    to_others, _ = nearest(images, never_failed, neighbours)
    value = to_failed.mean(axis=1, dtype=np.float64) - to_others.mean(axis=1, dtype=np.float64)
    return Contrast(np.round(value, _DIGITS), rows)


def shuffled_failures(failed: Vectors, never_failed: Vectors, rng: np.random.Generator) -> tuple[Vectors, Vectors]:
    """Which dev images failed, permuted: the control of the contrast, which asks whether it matters that these are failures.

    A permutation of the labels over the same images (Ojala and Garriga 2010): as many failed as did, with the same cells by row.

    Args:
        failed: (f, d) dev images that failed.
        never_failed: (s, d) dev images that never did.
        rng: Permutes; the same state gives the same permutation.

    Returns: (f, d) and (s, d), together the same rows, each in a place that chance gave it.
    """
    rows = rng.permutation(np.concatenate([failed, never_failed]))
    return rows[: len(failed)], rows[len(failed) :]


def cells_of(
    failures: NDArray[np.int64], failed_cells: Sequence[Mapping[str, int]], names: Sequence[str]
) -> NDArray[np.int64]:
    """The cell of each image: the largest c_k(x), the mean over its nearest failed images of cell k's share of their failures.

    Args:
        failures: (n, k) rows of `failed_cells`.
        failed_cells: Of each failed dev image, cell to its number of failed items.
        names: The cells that count; others play no part.

    Returns: (n,) places in `names`, ties to the first; -1 where the nearest failed images have none of them.
    """
    shares = np.zeros((len(failed_cells), len(names)))
    for row, cells in enumerate(failed_cells):
        counts = np.array([cells.get(name, 0) for name in names], dtype=np.float64)
        shares[row] = counts / max(counts.sum(), 1)
    profile = np.zeros((len(failures), len(names)))
    for column in failures.T:
        profile += shares[column]
    best = np.round(profile, _DIGITS).argmax(axis=1) if names else np.zeros(len(failures), dtype=np.int64)
    return np.where(profile.any(axis=1), best, -1)
