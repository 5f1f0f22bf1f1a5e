"""The leakage check: which pool images are too near to anything in the development or test set.

It compares records, not pixels, and knows nothing of where they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.perceptual_hash import nearest_within, parse_hashes


class LeakReason(StrEnum):
    """Why an image may not be used, in the order in which they are looked for."""

    SAME_IMAGE = "same_pixels"
    SAME_PATIENT = "patient"
    SAME_SESSION = "session"
    NEAR_DUPLICATE = "perceptual_hash"


@dataclass(frozen=True)
class ImageRecord:
    """What the check needs to know of an image.

    Attributes:
        image_id: sha256 of the stored pixels, hexadecimal.
        phash: 64-bit perceptual hash, 16 hexadecimal digits.
        patient: Keyed hash, or "" where it is not known.
        session: Keyed hash, or "" where it is not known.
    """

    image_id: str
    phash: str
    patient: str
    session: str


@dataclass(frozen=True)
class Leak:
    """A pool image that is too near to a guarded one.

    Attributes:
        image_id: The pool image.
        reason: The first reason that holds.
        guard_image_id: The guarded image; the first one where several match.
    """

    image_id: str
    reason: LeakReason
    guard_image_id: str


def find_leaks(
    candidates: Sequence[ImageRecord], guards: Sequence[ImageRecord], *, phash_distance: int
) -> tuple[Leak, ...]:
    """The candidates that share pixels, a patient, a session or nearly the picture with a guarded image.

    Two images without a known patient (or session) do not share one. Images that hash alike because they are blank count as
    near duplicates: a blank image teaches nothing.

    Args:
        candidates: (n,) pool images.
        guards: (m,) images of the development and test sets.
        phash_distance: Largest Hamming distance, in bits of 64, at which two pictures are near duplicates.

    Returns: One row for each candidate that leaks, in the order of the candidates.
    Raises: InvalidArgument: a hash is malformed or the distance is out of range.
    Cost: O(n + m) beside the exact Hamming join.
    """
    keys: tuple[tuple[LeakReason, Callable[[ImageRecord], str]], ...] = (
        (LeakReason.SAME_IMAGE, lambda record: record.image_id),
        (LeakReason.SAME_PATIENT, lambda record: record.patient),
        (LeakReason.SAME_SESSION, lambda record: record.session),
    )
    first_guard: dict[LeakReason, dict[str, str]] = {reason: {} for reason, _ in keys}
    for guard in guards:
        for reason, key in keys:
            if key(guard):
                first_guard[reason].setdefault(key(guard), guard.image_id)
    hashes, guarded = (parse_hashes([record.phash for record in records]) for records in (candidates, guards))
    nearest, _ = nearest_within(hashes, guarded, phash_distance)
    leaks = []
    for candidate, near in zip(candidates, nearest.tolist(), strict=True):
        matches = [(reason, first_guard[reason].get(key(candidate), "")) for reason, key in keys]
        if near >= 0:
            matches.append((LeakReason.NEAR_DUPLICATE, guards[near].image_id))
        leak = next(((reason, guard) for reason, guard in matches if guard), None)
        if leak:
            leaks.append(Leak(candidate.image_id, *leak))
    return tuple(leaks)
