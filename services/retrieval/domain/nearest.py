"""The most similar of a few vectors to each of very many, by comparing all with all, block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument

Vectors = NDArray[np.float32]
_CELLS = 1 << 23  # cosines held at a time: 32 MB


def nearest(images: Vectors, anchors: Vectors, k: int) -> tuple[Vectors, NDArray[np.int64]]:
    """The k most similar anchors of each image.

    Args:
        images: (n, d) float32, rows of unit norm; read block by block, so they may lie on a disk (a memory map).
        anchors: (a, d) float32, rows of unit norm.
        k: In 1..a.

    Returns: (n, k) float32 cosines, the largest first, and (n, k) rows of the anchors; ties to the lowest row.
    Raises: InvalidArgument: the dimensions differ, or there are fewer than k anchors.
    """
    if images.shape[1] != anchors.shape[1]:
        remedy = "Use vectors of one encoder: ingest both sets by the one that runs now."
        sizes = f"{images.shape[1]} and {anchors.shape[1]}"
        raise InvalidArgument(
            "The images and what they are compared with have vectors of different dimensions.",
            field="vectors",
            value=sizes,
            remedy=remedy,
        )
    if not 1 <= k <= len(anchors):
        raise InvalidArgument("There are not so many vectors to compare with.", field="k", value=k)
    cosines = np.zeros((len(images), k), dtype=np.float32)
    rows = np.zeros((len(images), k), dtype=np.int64)
    step = max(1, _CELLS // len(anchors))
    for start in range(0, len(images), step):
        table = np.asarray(images[start : start + step]) @ anchors.T
        each = np.arange(len(table))
        for place in range(k):
            best = table.argmax(axis=1)  # the first of equals
            rows[start : start + step, place] = best
            cosines[start : start + step, place] = table[each, best]
            table[each, best] = -np.inf
    return cosines, rows
