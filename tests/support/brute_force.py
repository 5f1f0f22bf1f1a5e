"""Eq. 2 by comparing all with all: what the rule and every index are held to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Matches:
    """The union of all neighbourhoods.

    Attributes:
        rows: (m,) int64 rows of the pool, ascending.
        prototype: (m,) int64 the most similar prototype of each, ties to the lowest.
        similarity: (m,) float32 its cosine, above tau_sim.
    """

    rows: NDArray[np.int64]
    prototype: NDArray[np.int64]
    similarity: NDArray[np.float32]


def best_matches(prototypes: NDArray[np.float32], vectors: NDArray[np.float32], tau: float) -> Matches:
    """Each of the (n, d) vectors that is strictly above tau to some of the (p, d) prototypes, with its most similar one."""
    if not len(prototypes) or not len(vectors):
        return Matches(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    cosines = prototypes @ vectors.T
    near = np.flatnonzero(cosines.max(axis=0) > tau)
    return Matches(near, cosines[:, near].argmax(axis=0), cosines[:, near].max(axis=0))
