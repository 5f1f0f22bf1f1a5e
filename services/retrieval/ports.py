"""What retrieval needs from outside: an index of vectors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.retrieval.domain.similarity import Match

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class IndexedImage:
    """An image of a split, as the index keeps it beside its vector; patient and session are keyed hashes or ""."""

    image_id: str
    split: str
    modality: str
    phash: str
    source_id: str
    patient: str
    session: str
    image_uri: str


@dataclass(frozen=True)
class Hit:
    """A near image."""

    image: IndexedImage
    similarity: float


class VectorIndex(Protocol):
    """Unit vectors of images, all of one encoder, one entry an image and split. Safe to use from several threads.

    What was upserted is durable when the call returns, and seen by the next call.
    """

    def upsert(self, encoder_id: str, images: Sequence[IndexedImage], vectors: Vectors) -> None:
        """Put images in, or describe them anew; the same call again changes nothing.

        Args:
            encoder_id: What made the vectors; the first one decides which encoder the index is of.
            images: (n,) the images.
            vectors: (n, d) float32, rows of unit norm.

        Raises:
            InvalidArgument: another shape, or a row that is not of unit norm.
            FailedPrecondition: the index holds vectors of another encoder.
        """

    def missing(self, image_ids: Collection[str], split: str) -> set[str]:
        """Those of the images that the index does not hold in this split."""

    def find_near(self, prototypes: Vectors, tau: float, split: str) -> list[Match]:
        """Eq. 2 by exact search: every image of the split whose cosine to some prototype is strictly above tau.

        Args:
            prototypes: (p, d) float32, rows of unit norm.
            tau: In -1..1.
            split: Only images of this split.

        Returns: Each image once, sorted by id.

        Raises:
            InvalidArgument: prototypes of another dimension than the index.
        """

    def search(self, vector: Vectors, limit: int, *, modality: str = "", split: str = "") -> list[Hit]:
        """The nearest images, approximately, for a person who looks around.

        Args:
            vector: (d,) float32, unit norm.
            limit: At most so many, at least 1.
            modality, split: Only such images; "" for all.

        Returns: Nearest first, each image once.

        Raises:
            InvalidArgument: a vector of another dimension than the index.
        """

    def count_by_split(self) -> dict[str, int]:
        """How many images each split holds; an image of two splits counts in both."""

    def optimize(self) -> None:
        """Build what makes `search` fast, after many upserts; nothing to do where the index sees to that itself."""

    def close(self) -> None:
        """Release what is held."""


class VectorIndexes(Protocol):
    """Where indexes lie, one an encoder. Safe to use from several threads."""

    def open(self, encoder_id: str) -> VectorIndex:
        """The index of an encoder, opened once by its caller; nothing is made before the first image is put in."""

    def encoder_ids(self) -> list[str]:
        """The encoders that have an index with images, sorted."""

    def close(self) -> None:
        """Release what is held beside the indexes themselves."""
