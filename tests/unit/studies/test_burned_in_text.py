import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from shared.burned_in_text import QUARANTINE_FROM, text_doubt
from studies.burned_in_text import of_phantoms, of_sources, wilson
from studies.images.phantoms import MODALITIES
from studies.planted_text import FONTS, OTHER_FONTS
from studies.text_fit import fit_weights
from studies.text_trials import FIRST_TEST_SEED, HEIGHTS, clean_image, phantom_trials, planted_image, real_trials

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


@pytest.mark.parametrize(
    ("hits", "n", "interval"), [(0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (5, 10, (0.2366, 0.7634))]
)
def test_the_interval_of_a_share_is_the_root_of_wilsons_equation(hits: int, n: int, interval: tuple[float, float]):
    """|hits / n - p| = z sqrt(p (1 - p) / n) at both ends."""
    for end, expected in zip(wilson(hits, n), interval, strict=True):
        assert end == pytest.approx(expected, abs=1e-4)
        assert (hits / n - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / n, abs=1e-6)


def test_what_was_not_tried_may_be_anything():
    assert wilson(0, 0) == (0.0, 1.0)


def test_texts_of_all_heights_are_planted_and_none_at_all_in_as_many_images():
    trials = list(phantom_trials(len(HEIGHTS), ("fundus",)))
    assert [one.planted is None for one in trials] == [True, False] * len(HEIGHTS)
    heights = [one.planted.height for one in trials if one.planted]
    assert max(heights) >= HEIGHTS[-1][0] - 1
    assert min(heights) <= HEIGHTS[0][1] + 1


def test_each_line_of_the_measurement_says_how_many_and_how_sure():
    lines = list(of_phantoms(list(phantom_trials(1))))
    assert all("of" in line and "%" in line for line in lines)
    assert lines[0].startswith("mri phantoms: found ")
    assert not set(FONTS) & set(OTHER_FONTS)


def test_variants_of_real_images_are_told_by_source():
    lines = list(of_sources(list(real_trials(1))))
    assert "real mri, sources: 3" in lines
    assert sum(line.startswith("  ") for line in lines) == 7
    assert not any("%" in line for line in lines)
