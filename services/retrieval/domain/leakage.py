"""The leakage check: which pool images are too near to anything in the development or test set.

It compares records, not pixels, and knows nothing of where they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.retrieval.domain.twins import Twins
from shared.perceptual_hash import nearest_within, parse_hashes


class LeakReason(StrEnum):
    """Why an image may not be used, in the order in which they are looked for."""

    SAME_IMAGE = "same_pixels"
    SAME_SESSION = "session"
    SAME_PATIENT = "patient"
    SAME_SOURCE = "source"
    NEAR_DUPLICATE = "perceptual_hash"
    TWIN = "twin"


@dataclass(frozen=True)
class ImageRecord:
    """What the check needs to know of an image.

    Attributes:
        image_id: sha256 of the stored pixels, hexadecimal.
        phash: 64-bit perceptual hash, 16 hexadecimal digits.
        patient: Keyed hash, or "" where it is not known.
        session: Keyed hash, or "" where it is not known.
        source_id: The unit that intervals resample. An ingest that is told of none writes the image's own id; that, and "",
            mean that it is not known.
        structure: Structure hash, hexadecimal; read where twins are looked for.
    """

    image_id: str
    phash: str
    patient: str
    session: str
    source_id: str = ""
    structure: str = ""


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


#: What two images share, by reason; None where it is not known, and then it is not shared. A session is a name within its
#: patient: many patients have a `ses-01`, which says nothing where the patient is not known.
_KEYS: tuple[tuple[LeakReason, Callable[[ImageRecord], Hashable | None]], ...] = (
    (LeakReason.SAME_IMAGE, lambda record: record.image_id),
    (LeakReason.SAME_SESSION, lambda r: (r.patient, r.session) if r.patient and r.session else None),
    (LeakReason.SAME_PATIENT, lambda record: record.patient or None),
    (LeakReason.SAME_SOURCE, lambda r: r.source_id if r.source_id not in ("", r.image_id) else None),
)


class Guards:
    """The guarded images, prepared once to hold any number of candidates against them.

    Two images without a known patient (or source) do not share one. A session counts within its patient. Images that hash
    alike because they are blank count as near duplicates: a blank image teaches nothing.

    Args:
        guards: (m,) images of the development and test sets.
        phash_distance: Largest Hamming distance, in bits of 64, at which two pictures are near duplicates.
        twin_similarity: Similarity of structure hashes, in (0, 1], from which on two pictures are degraded twins; 0: twins are
            not looked for.

    Raises:
        InvalidArgument: A hash is malformed or missing, or the distance or the similarity is out of range.
    """

    def __init__(self, guards: Sequence[ImageRecord], *, phash_distance: int, twin_similarity: float = 0.0) -> None:
        self._ids = [guard.image_id for guard in guards]
        self._first = _first_guards(guards)
        self._distance = phash_distance
        self._hashes = parse_hashes([guard.phash for guard in guards])
        structures = [guard.structure for guard in guards] if twin_similarity else []
        self._twins = Twins(structures, twin_similarity) if twin_similarity else None

    def leaks(self, candidates: Sequence[ImageRecord]) -> list[Leak]:
        """The candidates that share pixels, a patient, a source or nearly the picture with a guarded image.

        Args:
            candidates: (n,) pool images.

        Returns: One row for each candidate that leaks, in the order of the candidates.
        Raises: InvalidArgument: A hash is malformed or missing.
        Cost: O(n) beside the exact Hamming join and, for twins, a product of (n, d) and (d, m) in blocks.
        """
        hashes = parse_hashes([record.phash for record in candidates])
        near = {LeakReason.NEAR_DUPLICATE: nearest_within(hashes, self._hashes, self._distance)[0].tolist()}
        if self._twins:
            near[LeakReason.TWIN] = self._twins.nearest([record.structure for record in candidates]).tolist()
        leaks = []
        for i, candidate in enumerate(candidates):
            matches = [(reason, self._first[reason].get(key(candidate), "")) for reason, key in _KEYS]
            matches += [(reason, self._ids[of[i]]) for reason, of in near.items() if of[i] >= 0]
            leak = next(((reason, guard) for reason, guard in matches if guard), None)
            if leak:
                leaks.append(Leak(candidate.image_id, *leak))
        return leaks


def _first_guards(guards: Sequence[ImageRecord]) -> dict[LeakReason, dict[Hashable, str]]:
    """By reason and what is shared, the first guarded image that has it."""
    first: dict[LeakReason, dict[Hashable, str]] = {reason: {} for reason, _ in _KEYS}
    for guard in guards:
        for reason, key in _KEYS:
            if (shared := key(guard)) is not None:
                first[reason].setdefault(shared, guard.image_id)
    return first
