"""Makes the fixed constants of the image-statistics encoder: `python -m studies.encoder_constants`.

They are computed once from unlabelled phantoms of all modalities, degraded at random, none of which any
study uses (their seeds lie far above), and are committed. What was done to an image is thrown away before
anything is computed: mean, spread and principal axes of the statistics alone. `SHRINKAGE` lies between
keeping the axes as they are (0) and giving each the same spread (1); at 0.25 one pair in forty of such a
mixed pool has a cosine above 0.75, so that the paper's threshold keeps a minority.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.embedding.adapters.statistics_encoder import CLIP, CONSTANTS
from services.embedding.domain.statistics import image_statistics
from studies.images.degradations import DEGRADATIONS, NONE, SEVERITIES, degrade
from studies.images.phantoms import MODALITIES, make_phantom

FIRST_SEED = 900_000_000
SHRINKAGE = 0.25
_N_SOURCES = 240
_N_AXES = 64
_SIZES = (64, 96, 128)


def main() -> None:
    """Compute and write the constants."""
    write_constants(CONSTANTS, unlabelled_statistics(_N_SOURCES))


def unlabelled_statistics(n_sources: int) -> NDArray[np.float64]:
    """Statistics of phantoms, each degraded by one of its degradations or by none, without saying which.

    Returns: (n_sources * 5, d) float64.
    """
    rng = np.random.default_rng(FIRST_SEED)
    rows = []
    for modality in MODALITIES:
        names = sorted(DEGRADATIONS[modality])
        for source in range(n_sources):
            clean = make_phantom(modality, FIRST_SEED + source, _SIZES[source % len(_SIZES)])
            name = names[int(rng.integers(len(names)))]
            severity = NONE if name == NONE else SEVERITIES[int(rng.integers(len(SEVERITIES)))]
            image = np.rint(255 * degrade(clean, modality, name, severity, rng)).astype(np.uint8)
            rows.append(image_statistics(image[..., None] if image.ndim == 2 else image))
    return np.array(rows)


def write_constants(path: Path, statistics: NDArray[np.float64]) -> None:
    """Write mean, spread and the shrunk principal axes of `statistics` (n, d) as float32 in an `.npz` file."""
    mean, spread = statistics.mean(axis=0), statistics.std(axis=0) + 1e-3
    scaled = np.clip((statistics - mean) / spread, -CLIP, CLIP)
    centre = scaled.mean(axis=0)
    _, singular, axes = np.linalg.svd(scaled - centre, full_matrices=False)
    # The sign of an axis is arbitrary.
    axes = axes[:_N_AXES] * np.sign(axes[:_N_AXES].sum(axis=1, keepdims=True))
    variance = singular[:_N_AXES] ** 2 / len(scaled)
    projection = axes.T * (variance + 1e-2) ** (-SHRINKAGE / 2)
    np.savez(
        path,
        mean=mean.astype(np.float32),
        spread=spread.astype(np.float32),
        centre=centre.astype(np.float32),
        projection=projection.astype(np.float32),
    )


if __name__ == "__main__":
    main()
