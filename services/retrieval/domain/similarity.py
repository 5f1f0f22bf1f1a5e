"""Eq. 2: which pool images lie in the neighbourhood of a failure prototype; exact, by comparing all with all.

It is the definition that an index is held to, and fast enough to be used on pools that fit in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument

_BLOCK = 65_536  # pool vectors compared at once


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


def neighbourhood(
    prototypes: NDArray[np.float32], vectors: NDArray[np.float32], tau: float
) -> tuple[NDArray[np.int64], ...]:
    """Eq. 2: N(p_j) = {x in U : cos(p_j^vis, f_enc(x)) > tau_sim}, strictly above.

    Args:
        prototypes: (p, d) float32 unit rows p_j^vis.
        vectors: (n, d) float32 unit rows f_enc(x).
        tau: tau_sim in [-1, 1] (paper: 0.75).

    Returns: For each prototype the (m_j,) int64 rows of its neighbourhood, ascending.
    Raises: InvalidArgument: shapes do not match or tau is out of range.
    Cost: O(p n d).
    """
    _check(prototypes, vectors, tau)
    found: list[list[NDArray[np.int64]]] = [[np.zeros(0, dtype=np.int64)] for _ in prototypes]
    for start in range(0, len(vectors), _BLOCK):
        near = prototypes @ vectors[start : start + _BLOCK].T > tau
        for rows, of_prototype in zip(found, near, strict=True):
            rows.append(start + np.flatnonzero(of_prototype))
    return tuple(np.concatenate(rows) for rows in found)


def best_matches(prototypes: NDArray[np.float32], vectors: NDArray[np.float32], tau: float) -> Matches:
    """Each image that is in some neighbourhood, with the prototype that found it: its most similar one.

    Args:
        prototypes: As for `neighbourhood`.
        vectors: As for `neighbourhood`.
        tau: As for `neighbourhood`.

    Returns: The matches.
    Raises: InvalidArgument: as for `neighbourhood`.
    Cost: O(p n d).
    """
    _check(prototypes, vectors, tau)
    rows, best, similarity = (
        [np.zeros(0, dtype=np.int64)],
        [np.zeros(0, dtype=np.int64)],
        [np.zeros(0, dtype=np.float32)],
    )
    for start in range(0, len(vectors) if len(prototypes) else 0, _BLOCK):
        cosines = prototypes @ vectors[start : start + _BLOCK].T
        highest = cosines.max(axis=0)
        near = np.flatnonzero(highest > tau)
        rows.append(start + near)
        best.append(cosines[:, near].argmax(axis=0))
        similarity.append(highest[near])
    return Matches(np.concatenate(rows), np.concatenate(best), np.concatenate(similarity))


def _check(prototypes: NDArray[np.float32], vectors: NDArray[np.float32], tau: float) -> None:
    if prototypes.ndim != 2 or vectors.ndim != 2 or prototypes.shape[1] != vectors.shape[1]:
        shapes = f"{prototypes.shape} and {vectors.shape}"
        remedy = "Embed the failures and the pool with the same encoder."
        raise InvalidArgument(
            "Prototypes and pool differ in dimension.", field="vectors", value=shapes, remedy=remedy
        )
    if not -1 <= tau <= 1:
        raise InvalidArgument("A cosine threshold lies in [-1, 1].", field="tau_sim", value=tau)
