"""Guesses the modality of images of which neither manifest, file nor request tells one, by what was embedded of them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.embedding.domain.modalities import class_vectors, guess_modalities
from services.embedding.ports import Encoder
from services.embedding.store.images import Store
from services.embedding.store.tables import InputRow
from services.embedding.work.facts import Facts
from shared.batches import in_batches
from shared.rows.images import ZERO_SHOT
from shared.rows.vocabulary import UNKNOWN
from shared.spill import Spill

_AT_ONCE = 500


class ModalityGuesser:
    """Guesses by one encoder, whose images and texts share a space; by any other it guesses nothing.

    Args:
        encoder: Made the vectors.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._classes: NDArray[np.float32] | None = None

    def guess(self, store: Store, operation_id: str, facts: Facts) -> None:
        """Note a modality for the images of an ingest that are embedded and have none in any of its rows.

        A vector is there already, so this costs no image anything; done again, it notes the same.
        """
        scale = self._encoder.logit_scale
        if scale is None:
            return
        with Spill() as spill:
            images = spill.table("images", str)
            for image_id in store.inputs.untold_images(operation_id):
                images.add(image_id)
            for image_ids in in_batches((image_id for image_id, _ in images.items()), _AT_ONCE):
                self._guess(store, operation_id, image_ids, scale, facts)

    def _guess(self, store: Store, operation_id: str, image_ids: Sequence[str], scale: float, facts: Facts) -> None:
        unknown = _unknown(store.inputs.of_images(operation_id, image_ids))
        vectors = store.vectors(unknown)
        if not vectors:
            return
        images = np.stack([np.frombuffer(vector, dtype="<f4") for vector in vectors.values()])
        guesses = zip(vectors, guess_modalities(images, self._prompts(), scale), strict=True)
        guessed = [
            replace(row, modality=modality, modality_from=ZERO_SHOT)
            for image_id, modality in guesses
            if modality != UNKNOWN
            for row in unknown[image_id]
        ]
        store.describe(operation_id, guessed, facts.embedded)

    def _prompts(self) -> NDArray[np.float32]:
        with self._lock:
            if self._classes is None:
                self._classes = class_vectors(self._encoder.embed_texts)
            return self._classes


def _unknown(rows: Iterable[InputRow]) -> dict[str, list[InputRow]]:
    """The rows of each image of which no row names a modality, a known one or another."""
    by_image: dict[str, list[InputRow]] = defaultdict(list)
    for row in rows:
        by_image[row.image_id].append(row)
    return {image_id: of_it for image_id, of_it in by_image.items() if all(_is_untold(row) for row in of_it)}


def _is_untold(row: InputRow) -> bool:
    return row.modality == UNKNOWN and not row.modality_from
