import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from services.embedding.domain import statistics
from services.embedding.domain.statistics import image_statistics


def noise(seed: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).random((size, size))


def test_white_noise_has_a_flat_spectrum_of_its_variance() -> None:
    rings = statistics.power_spectrum(noise(0, 256))[:20]
    np.testing.assert_allclose(np.exp(rings[2:]), 1 / 12, rtol=0.15)  # the variance of uniform noise


def test_blur_takes_power_from_the_higher_rings_and_motion_from_one_direction() -> None:
    grey = noise(1)
    blurred, moved = ndimage.gaussian_filter(grey, 1.5), ndimage.uniform_filter1d(grey, 9, axis=1)
    sharp = statistics.power_spectrum(grey)
    assert statistics.power_spectrum(blurred)[15] < sharp[15] - 2
    directions = statistics.power_spectrum(moved)[20:]
    assert directions.max() - directions.min() > sharp[20:].max() - sharp[20:].min() + 1


def test_the_gradient_histogram_is_that_of_numpy() -> None:
    grey = noise(2)
    magnitude = np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1)) / 8
    edges = np.geomspace(1e-3, 0.5, 13)
    counts, _ = np.histogram(np.clip(magnitude, edges[0], edges[-1]), edges)
    np.testing.assert_allclose(statistics.gradients(grey)[:12] ** 2, counts / grey.size, atol=2 / grey.size)


def test_a_ramp_of_light_shows_as_a_trend_along_its_axis() -> None:
    flat = np.full((48, 64), 0.5)
    ramp = flat + np.linspace(-0.3, 0.3, 64)[None, :]
    assert statistics.illumination(flat)[1] == pytest.approx(0, abs=1e-9)
    assert statistics.illumination(ramp)[1] > 0.1
    assert statistics.illumination(ramp)[0] == pytest.approx(0, abs=1e-9)


def test_a_ghost_half_a_field_away_shows_as_repetition() -> None:
    grey = np.zeros((64, 64))
    grey[10:20, 20:40] = ndimage.gaussian_filter(noise(3)[:10, :20], 0.5)
    ghosted = grey + 0.4 * np.roll(grey, 28, axis=0)
    assert statistics.repetition(ghosted)[4] > statistics.repetition(grey)[4] + 0.2


def test_strong_jpeg_shows_as_blocks() -> None:
    import io

    grey = ndimage.gaussian_filter(noise(4, 128), 3)
    grey = np.rint(255 * (grey - grey.min()) / (grey.max() - grey.min())).astype(np.uint8)
    target = io.BytesIO()
    Image.fromarray(grey).save(target, "JPEG", quality=5)
    with Image.open(target) as image:
        coarse = np.asarray(image)
    assert statistics.blockiness(coarse[..., None])[0] > statistics.blockiness(grey[..., None])[0] + 0.3


def test_block_borders_are_looked_at_in_strips_as_in_the_whole() -> None:
    grey = np.rint(255 * noise(4, 200)).astype(np.uint8)
    for axis, at in ((0, 0), (1, 2)):
        steps = np.abs(np.diff(grey / 255.0, axis=axis))
        phases = np.array([steps.mean(axis=1 - axis)[phase::8].mean() for phase in range(8)])
        found = statistics.blockiness(grey[..., None])[at : at + 2]
        np.testing.assert_allclose(found[0], np.log((phases[7] + 1e-4) / (np.median(phases) + 1e-4)))
        np.testing.assert_allclose(found[1], np.sqrt((steps < 1e-6).mean()))


def test_grey_has_no_colour_and_a_cast_moves_its_axis() -> None:
    grey = noise(5)[..., None]
    assert not statistics.colour(grey)[:10].any()
    cast = np.concatenate([np.clip(grey + 0.2, 0, 1), grey, grey], axis=2)
    assert statistics.colour(cast)[0] > 0.1


def test_large_images_are_reduced_by_block_means() -> None:
    image = np.rint(255 * noise(6, 600)[..., None]).astype(np.uint8)
    reduced = statistics.reduce_size(image)
    assert reduced.shape == (200, 200, 1)
    assert reduced[3, 4, 0] == pytest.approx(image[9:12, 12:15].mean() / 255)
    assert statistics.reduce_size(image[:256, :256]).shape == (256, 256, 1)


def test_of_a_large_strip_no_more_is_looked_at_than_of_a_large_square() -> None:
    reduced = statistics.reduce_size(np.zeros((160, 60_000, 1), np.uint8))
    assert reduced.shape == (16, 6_000, 1)


def test_the_vector_is_finite_and_of_one_length_for_grey_and_colour() -> None:
    rng = np.random.default_rng(7)
    lengths = {
        len(image_statistics(rng.integers(0, 256, shape, dtype=np.uint8)))
        for shape in ((16, 16, 1), (40, 99, 3), (300, 20, 3))
    }
    assert len(lengths) == 1
    assert np.isfinite(image_statistics(np.zeros((20, 20, 3), np.uint8))).all()
