"""Which images an expert compares a drawn image with: the failures that it was drawn for, and what is right near them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Most images of either sort.
MOST_NEIGHBOURS = 3


def nearest_to_failures(
    vectors: NDArray[np.float32], failures: Sequence[int], clean: Sequence[int]
) -> tuple[list[int], list[int]]:
    """The images nearest to the middle of some failures, by cosine, ties by row.

    Args:
        vectors: (n, d), one an image, of any length.
        failures: Rows of the failures.
        clean: Rows of images that never failed.

    Returns: Rows of clean images and of failures, the nearest first, at most `MOST_NEIGHBOURS` of each.
    """
    if not failures:
        return [], []
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    nearness = unit @ unit[list(failures)].mean(axis=0)
    clean_rows, failed_rows = (sorted(rows, key=lambda row: (-nearness[row], row)) for rows in (clean, failures))
    return clean_rows[:MOST_NEIGHBOURS], failed_rows[:MOST_NEIGHBOURS]
