"""Eq. 2 and the leakage check by comparing all with all: what the rules and every index are held to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.retrieval.domain.leakage import ImageRecord, Leak, LeakReason


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


def brute_force_leaks(
    pool: list[ImageRecord], guards: list[ImageRecord], distance: int, similarity: float
) -> tuple[Leak, ...]:
    """Each image of the pool that touches a guarded one, by the first reason that holds with any of them."""
    found = []
    for image in pool:
        for reason in LeakReason:
            touched = [guard for guard in guards if _touches(reason, image, guard, distance, similarity)]
            if touched:
                nearest = min(touched, key=lambda guard: _differing_bits(reason, image, guard))
                found.append(Leak(image.image_id, reason, nearest.image_id))
                break
    return tuple(found)


def _touches(reason: LeakReason, a: ImageRecord, b: ImageRecord, distance: int, similarity: float) -> bool:
    is_same_patient = a.patient == b.patient != ""
    if reason is LeakReason.SAME_IMAGE:
        return a.image_id == b.image_id
    if reason is LeakReason.SAME_SESSION:
        return is_same_patient and a.session == b.session != ""
    if reason is LeakReason.SAME_PATIENT:
        return is_same_patient
    if reason is LeakReason.SAME_SOURCE:
        return a.source_id == b.source_id and a.source_id not in ("", a.image_id, b.image_id)
    if reason is LeakReason.NEAR_DUPLICATE:
        return _differing_bits(reason, a, b) <= distance
    return similarity > 0 and 1 - 2 * _differing_bits(reason, a, b) / (4 * len(a.structure)) >= similarity


def _differing_bits(reason: LeakReason, a: ImageRecord, b: ImageRecord) -> int:
    """Of the hash that the reason compares; 0 where it compares none, so that the first one is the nearest."""
    if reason is LeakReason.NEAR_DUPLICATE:
        return (int(a.phash, 16) ^ int(b.phash, 16)).bit_count()
    return (int(a.structure, 16) ^ int(b.structure, 16)).bit_count() if reason is LeakReason.TWIN else 0
