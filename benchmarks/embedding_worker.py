"""The embedding service with an encoder of fixed latency, for `benchmarks.ingest`: `python -m benchmarks.embedding_worker`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.embedding.main import build
from services.embedding.ports import Encoder, Pixels
from services.embedding.settings import EmbeddingSettings
from shared.rpc.main import serve

LATENCY_SECONDS = 0.05
_DIMENSION = 64


class FixedLatencyEncoder:
    """Takes the same time for every image and none of the processor: a device elsewhere. See `ports.Encoder`."""

    encoder_id, dimension, logit_scale = "fixed-latency", _DIMENSION, None

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """See the port."""
        time.sleep(LATENCY_SECONDS * len(images))
        vectors = np.stack([np.resize(image.astype(np.float32).ravel(), _DIMENSION) + 1 for image in images])
        unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See the port."""
        return np.full((len(texts), _DIMENSION), _DIMENSION**-0.5, dtype=np.float32)


class OneEncoder:
    """One encoder, whatever its name. See `ports.Encoders`."""

    def __init__(self) -> None:
        self._encoder = FixedLatencyEncoder()

    def require(self, name: str) -> None:
        """See the port."""

    def get(self, name: str) -> Encoder:
        """See the port."""
        return self._encoder


if __name__ == "__main__":
    serve("embedding", EmbeddingSettings(), partial(build, encoders=OneEncoder()))
