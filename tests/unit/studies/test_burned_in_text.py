import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from shared.burned_in_text import QUARANTINE_FROM, text_doubt
from studies.burned_in_text import FIRST_TEST_SEED, clean_image, fit_weights, planted_image
from studies.phantoms import MODALITIES

SEEDS = range(FIRST_TEST_SEED, FIRST_TEST_SEED + 3)


def test_most_planted_texts_are_found_in_every_modality_but_histopathology():
    doubts = [text_doubt(planted_image(name, seed).pixels) for name in MODALITIES[:4] for seed in SEEDS]
    assert sum(doubt >= QUARANTINE_FROM for doubt in doubts) >= 10


def test_few_images_without_text_are_held():
    doubts = [text_doubt(clean_image(name, seed)) for name in MODALITIES for seed in SEEDS]
    assert sum(doubt >= QUARANTINE_FROM for doubt in doubts) <= 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 200, 3), (64, 64, 3)])
def test_a_flat_image_of_any_shape_gives_no_doubt(shape: tuple[int, ...]) -> None:
    assert text_doubt(np.full(shape, 80, dtype=np.uint8)) == 0.0


def test_a_picture_larger_than_2048_pixels_is_looked_at_in_half_its_size():
    strip = Image.new("RGB", (4096, 120), (30, 30, 30))
    ImageDraw.Draw(strip).text((60, 40), "SCHMIDT ERIKA 1962", (230, 230, 230), ImageFont.load_default(36))
    pixels = np.asarray(strip)
    halved = pixels.reshape(60, 2, 2048, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    assert text_doubt(pixels) >= QUARANTINE_FROM
    assert text_doubt(pixels) == pytest.approx(text_doubt(halved), abs=0.05)


def test_the_doubt_is_the_same_each_time():
    pixels = planted_image("ct", FIRST_TEST_SEED).pixels
    assert text_doubt(pixels) == text_doubt(pixels)


def test_a_grid_and_rings_are_no_text():
    grid = np.zeros((128, 128, 3), dtype=np.uint8)
    grid[::16] = grid[:, ::16] = 255
    y, x = np.mgrid[-64:64, -64:64]
    rings = np.repeat((np.hypot(y, x) % 12 < 2)[..., None] * np.uint8(255), 3, axis=2)
    assert text_doubt(grid) < QUARANTINE_FROM
    assert text_doubt(rings) < QUARANTINE_FROM


def test_the_fit_tells_two_groups_apart():
    rng = np.random.default_rng(0)
    text, other = rng.normal(2.0, 1.0, (200, 3)), rng.normal(-2.0, 1.0, (200, 3))
    weights = fit_weights(text, other)
    assert (text @ weights[:-1] + weights[-1] > 0).mean() > 0.95
    assert (other @ weights[:-1] + weights[-1] < 0).mean() > 0.95
