"""Guesses the modality of images of which neither manifest, file nor request tells one, by what was embedded of them."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from services.embedding.domain.modalities import class_vectors, guess_modalities
from services.embedding.ports import Encoder
from services.embedding.store.images import Store
from services.embedding.store.tables import STORED, InputRow
from services.embedding.work.facts import Facts
from shared.rows.images import ZERO_SHOT
from shared.rows.vocabulary import UNKNOWN

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
        unknown = _unknown(store, operation_id)
        image_ids = sorted(unknown)
        for start in range(0, len(image_ids), _AT_ONCE):
            vectors = store.vectors(image_ids[start : start + _AT_ONCE])
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


def _unknown(store: Store, operation_id: str) -> dict[str, list[InputRow]]:
    """The rows of each image of which no row of the ingest names a modality, a known one or another."""
    rows: dict[str, list[InputRow]] = defaultdict(list)
    for row in store.inputs(operation_id).values():
        if row.status == STORED:
            rows[row.image_id].append(row)
    return {image_id: of_it for image_id, of_it in rows.items() if all(_is_untold(row) for row in of_it)}


def _is_untold(row: InputRow) -> bool:
    return row.modality == UNKNOWN and not row.modality_from
