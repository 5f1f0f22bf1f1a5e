"""Degraded twins: two pictures of one object that were degraded apart, found by their structure hashes.

The hash holds the signs of Fourier coefficients (`services/embedding/domain/structure.py`), so its bits are equal in half of all
places where two pictures have nothing to do with each other. It knows nothing of images or of who asks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument

_CELLS = 1 << 22  # similarities of one block: 16 MB


class Twins:
    """Structure hashes of guarded images, prepared once.

    The similarity of two hashes is 1 - 2 h / b, for h of b bits that differ: 1 for equal ones, near 0 for unrelated ones.

    Args:
        guards: (m,) hexadecimal hashes, all of one length.
        similarity: In (0, 1]; at or above it two pictures are twins.

    Raises:
        InvalidArgument: A hash is missing, malformed or of another length, or the similarity is out of range.
    """

    def __init__(self, guards: Sequence[str], similarity: float) -> None:
        if not 0 < similarity <= 1:
            raise InvalidArgument("The similarity lies in (0, 1].", field="twin_similarity", value=similarity)
        self._n_digits = len(guards[0]) if len(guards) else 0
        self._of_guards = _signs(_pack(guards, self._n_digits)).T if len(guards) else None
        # Whole numbers below 2**24 are exact in float32: the product is the number of equal bits minus that of different ones.
        self._limit = np.ceil(similarity * 4 * self._n_digits - 1e-6)

    def nearest(self, candidates: Sequence[str]) -> NDArray[np.int64]:
        """For each structure hash, the most similar guarded one, if it is similar enough.

        Args:
            candidates: (n,) hexadecimal hashes of the length that the guarded ones have.

        Returns: (n,) int64 index into the guards, ties to the lowest; -1 where none is similar enough.
        Raises: InvalidArgument: A hash is missing, malformed or of another length.
        Cost: an exact product of (n, b) and (b, m), in blocks of 4 million similarities.
        """
        found = np.full(len(candidates), -1, dtype=np.int64)
        if not len(candidates) or self._of_guards is None:
            return found
        packed = _pack(candidates, self._n_digits)
        step = max(1, _CELLS // self._of_guards.shape[1])
        for start in range(0, len(candidates), step):
            rows = slice(start, min(start + step, len(candidates)))
            product = _signs(packed[rows]) @ self._of_guards
            best = product.argmax(axis=1)
            found[rows] = np.where(product[np.arange(len(best)), best] >= self._limit, best, -1)
        return found


def _pack(hashes: Sequence[str], length: int) -> NDArray[np.uint8]:
    """(n, b / 8) bytes of n > 0 hashes of so many digits."""
    try:
        data = bytes.fromhex("".join(hashes))
    except ValueError:
        data = b""
    if not data or {len(text) for text in hashes} != {length} or len(data) * 2 != length * len(hashes):
        remedy = "Ingest the images again with this release, or set twin_similarity to 0."
        raise InvalidArgument(
            "An image has no structure hash, or one of another length.", field="structure", remedy=remedy
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(len(hashes), -1)


def _signs(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, b) of -1 and 1, a column a bit."""
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1
