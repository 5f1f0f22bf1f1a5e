"""What both Qdrant adapters do alike: how an image is a point, what is checked before it is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import numpy as np

from services.retrieval.ports import Hit, IndexedImage, Vectors
from shared.errors import FailedPrecondition, InvalidArgument

#: What searches filter by; each costs 0.2 s and 25 MB when an index is made.
INDEXED_FIELDS = ("split", "modality")
#: Points of one request.
AT_ONCE = 500
MOST_SPLITS = 8
#: Places asked for first by an exact search, before it is known how large the neighbourhood is.
FIRST_LIMIT = 1024
#: Candidates that a walk through the graph keeps. Of 1,000,000 images 512 find 99.9% of the nearest ten, but only 92% of those
#: of one modality where most queries are of another, far from all of them; 1,536 find 98% (`python -m benchmarks.retrieval`).
_CANDIDATES, _CANDIDATES_OF_A_MODALITY = 512, 1_536
#: The engine's scores may differ from numpy's in the last bit: it is asked for a little more, and `domain.similarity` decides.
SCORE_MARGIN = 1e-5
_NAMESPACE = UUID("8f6f1c53-6c0e-5d0b-9a55-9a1d64f2a0c7")
_NORM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Space:
    """Which vectors an index is of: the first ones decide."""

    dimension: int
    encoder_id: str

    def require_encoder(self, encoder_id: str, fresh: str) -> None:
        """FailedPrecondition for vectors of another encoder.

        Args:
            encoder_id: What made the vectors.
            fresh: What to start with instead, for the remedy.
        """
        if encoder_id != self.encoder_id:
            raise FailedPrecondition(
                "The index holds vectors of another encoder.",
                field="encoder_id",
                value=encoder_id,
                remedy=f"Use {self.encoder_id}, or start with {fresh}.",
            )

    def require_dimension(self, dimension: int) -> None:
        """InvalidArgument for a vector of another dimension."""
        if dimension != self.dimension:
            remedy = f"Embed with {self.encoder_id}, which gives {self.dimension}."
            raise InvalidArgument("The index has another dimension.", field="vector", value=dimension, remedy=remedy)


def require_unit_rows(images: Sequence[IndexedImage], vectors: Vectors) -> None:
    """InvalidArgument where there is not one vector of unit norm an image."""
    if vectors.ndim != 2 or len(vectors) != len(images) or vectors.shape[1] == 0:
        raise InvalidArgument("One vector an image is needed.", field="vectors", value=vectors.shape)
    norms = np.linalg.norm(vectors, axis=1)
    if not np.all(np.abs(norms - 1.0) <= _NORM_TOLERANCE):  # NaN is refused too
        raise InvalidArgument("The rows are not of unit norm.", field="vectors", value=float(norms[0]))


def point_id(image_id: str, split: str) -> str:
    """The id of an image's entry in a split, the same on every machine."""
    return str(uuid5(_NAMESPACE, f"{image_id}/{split}"))


def parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Slices that fit into one request."""
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


def candidates(modality: str) -> int:
    """How many candidates an interactive search keeps, of one modality or ("") of all."""
    return _CANDIDATES_OF_A_MODALITY if modality else _CANDIDATES


def hits(found: Iterable[tuple[Mapping[str, Any], float]], limit: int) -> list[Hit]:
    """Of (payload, similarity), nearest first, each image once, `limit` at most."""
    nearest: dict[str, Hit] = {}
    for payload, similarity in found:
        image = IndexedImage(**payload)
        nearest.setdefault(image.image_id, Hit(image, similarity))
    return list(nearest.values())[:limit]
