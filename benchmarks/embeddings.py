"""Vectors as an image encoder makes them, in any number and always the same: for benchmarks of the index.

A cone (all share a mean direction), clusters of very different sizes, few directions that carry most of the variance, and a
little noise in all of them. A cluster has one modality, as images that look alike have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MODALITIES = ("ct", "mri", "xray", "fundus", "histology")
_SHARES = (0.35, 0.25, 0.2, 0.1, 0.1)
_BLOCK = 10_000
_N_CLUSTERS, _N_LATENT = 2_000, 64
_MEAN, _SPREAD, _NOISE = 0.6, 0.7, 0.35


@dataclass(frozen=True)
class Block:
    """Rows `first` to `first + len(vectors)`: (b, d) float32 unit rows, and the index of each one's modality."""

    first: int
    vectors: NDArray[np.float32]
    modality: NDArray[np.int64]


class Embeddings:
    """A population that blocks and queries are drawn from.

    Args:
        d: Dimension, at least 65: the mean and the 64 directions that carry most.
    """

    def __init__(self, d: int) -> None:
        rng = np.random.default_rng(0)
        spectrum = 1.0 / np.sqrt(1.0 + np.arange(_N_LATENT) / 8.0)
        self._scale = spectrum / np.linalg.norm(spectrum)
        basis = np.linalg.qr(rng.standard_normal((d, _N_LATENT + 1)))[0].T
        self._basis, self._mean = basis[:-1].astype(np.float32), (_MEAN * basis[-1]).astype(np.float32)
        self._centres = rng.standard_normal((_N_CLUSTERS, _N_LATENT)) * self._scale
        shares = 1.0 / (np.arange(_N_CLUSTERS) + 10.0)
        self._shares = shares / shares.sum()
        self._modality = rng.choice(len(MODALITIES), size=_N_CLUSTERS, p=_SHARES)
        self._d = d

    def blocks(self, n: int) -> Iterator[Block]:
        """The first `n` of them, block by block, so that they need never be in memory at once."""
        for first in range(0, n, _BLOCK):
            yield self._draw(first, min(_BLOCK, n - first), seed=1 + first // _BLOCK)

    def queries(self, n: int) -> Block:
        """`n` others of the same population (`n` at most 10,000)."""
        return self._draw(0, n, seed=2**31)

    def _draw(self, first: int, n: int, seed: int) -> Block:
        rng = np.random.default_rng(seed)
        clusters = rng.choice(_N_CLUSTERS, size=n, p=self._shares)
        latent = self._centres[clusters] + _SPREAD * self._scale * rng.standard_normal((n, _N_LATENT))
        noise = rng.standard_normal((n, self._d), dtype=np.float32) * np.float32(_NOISE / np.sqrt(self._d))
        vectors = self._mean + latent.astype(np.float32) @ self._basis + noise
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return Block(first, vectors, self._modality[clusters])
