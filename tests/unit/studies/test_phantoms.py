from __future__ import annotations

import numpy as np
import pytest

from shared.errors import InvalidArgument
from studies.images.phantoms import MODALITIES, make_phantom


@pytest.mark.parametrize("modality", MODALITIES)
def test_one_seed_gives_one_image(modality: str) -> None:
    np.testing.assert_array_equal(make_phantom(modality, 7), make_phantom(modality, 7))


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("size", [32, 75, 96])
def test_values_lie_in_the_unit_range_at_any_size(modality: str, size: int) -> None:
    image = make_phantom(modality, 3, size)
    assert image.shape == ((size, size) if modality in ("mri", "ct") else (size, size, 3))
    assert image.dtype == np.float64
    assert image.min() >= 0.0
    assert image.max() <= 1.0
    assert image.std() > 0.05


@pytest.mark.parametrize("modality", MODALITIES)
def test_any_two_of_thirty_sources_differ_visibly(modality: str) -> None:
    images = np.array([make_phantom(modality, seed, 48).ravel() for seed in range(30)])
    gaps = np.abs(images[:, None] - images[None]).mean(axis=-1)[np.triu_indices(30, 1)]
    assert gaps.min() > 0.02


def test_an_unknown_modality_names_the_known_ones() -> None:
    with pytest.raises(InvalidArgument, match="histopathology"):
        make_phantom("pet", 0)


@pytest.mark.parametrize(("seed", "size"), [(-1, 96), (0, 31)])
def test_a_negative_seed_or_a_tiny_size_is_refused(seed: int, size: int) -> None:
    with pytest.raises(InvalidArgument):
        make_phantom("ct", seed, size)


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_one_of_three_hundred_sources_is_finite(modality: str) -> None:
    assert all(np.isfinite(make_phantom(modality, seed, 48)).all() for seed in range(1000, 1300))
