"""The encoder without weights: image statistics on fixed axes, hashed words. Implements `ports.Encoder`.

Its constants come from unlabelled phantoms (`studies/encoder_constants.py`) and are part of its id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer

from services.embedding.domain.statistics import image_statistics
from services.embedding.domain.vectors import require_texts, unit_rows
from services.embedding.ports import Pixels
from shared.limits import STATISTICS

CONSTANTS = Path(__file__).with_name("statistics_encoder.npz")
#: Standardised statistics are held within this many spreads, so that one odd number does not decide alone.
CLIP = 4.0
_VERSION = 2  # raised with every change of `domain.statistics`
_TEXT_DIMENSION = 512


class StatisticsEncoder:
    """Describes how an image was made (sharpness, noise, light, colour, blocks), not what it shows.

    Args:
        constants: The `.npz` file with `mean`, `spread`, `centre` (d) and `projection` (d, dimension).
    """

    def __init__(self, constants: Path = CONSTANTS) -> None:
        with np.load(constants, allow_pickle=False) as arrays:
            self._mean, self._spread, self._centre, self._projection = (
                arrays[name].astype(np.float64) for name in ("mean", "spread", "centre", "projection")
            )
        digest = hashlib.sha256(f"{_VERSION} {CLIP}".encode())
        for array in (self._mean, self._spread, self._centre, self._projection):
            digest.update(array.tobytes())
        self._encoder_id = f"{STATISTICS}-{digest.hexdigest()[:16]}"
        self._words = HashingVectorizer(
            n_features=_TEXT_DIMENSION,
            ngram_range=(1, 2),
            token_pattern=r"\w+|[^\w\s]",
            norm="l2",
            alternate_sign=False,
        )

    @property
    def encoder_id(self) -> str:
        """See the port."""
        return self._encoder_id

    @property
    def dimension(self) -> int:
        """See the port."""
        return int(self._projection.shape[1])

    @property
    def logit_scale(self) -> None:
        """See the port: what an image looks like is never said in words here."""
        return None

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """See the port."""
        rows = np.empty((len(images), self.dimension))
        for i, pixels in enumerate(images):
            scaled = np.clip((image_statistics(pixels) - self._mean) / self._spread, -CLIP, CLIP)
            # One row at a time: a product of several rows may be summed in another order.
            rows[i] = (scaled - self._centre) @ self._projection
        return unit_rows(rows)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See the port."""
        require_texts(texts)
        if not texts:
            return np.zeros((0, _TEXT_DIMENSION), dtype=np.float32)
        return unit_rows(self._words.transform(texts).toarray())
