"""Images with and without burned-in text, shown to `shared.burned_in_text`: phantoms, and variants of the few real images.

Phantoms of different seeds are independent. Variants of real images are not: they come from as few patients as there are sources,
so their counts go with the number of sources, and have no interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from shared.burned_in_text import QUARANTINE_FROM, text_doubt
from studies.images.degradations import DEGRADATIONS, NONE, degrade
from studies.images.optics import to_bytes
from studies.images.phantoms import MODALITIES, make_phantom
from studies.images.real_images import read_image, wheel_sources
from studies.planted_text import FONTS, OTHER_FONTS, Pixels, Planted, plant

FIRST_TEST_SEED = 1_000_000
"""Images from this seed on are measured; weights are fitted to those below."""

HEIGHTS = ((6, 7), (8, 9), (10, 12), (13, 17), (18, 24), (25, 40))
"""Classes of the height of a capital letter, in pixels; as many texts are planned of each."""

_SIZES = (96, 128, 192, 256, 320)  # pixels
_LARGE = 320  # for letters above `_TALL`, which do not fit into less
_TALL = 24
_SIDES = (128, 384)  # the shorter side of a variant of a real image
_VOLUME = "tests/data/example4d.nii.gz"  # of nibabel: MRI of one head; its middle slices are taken


@dataclass(frozen=True)
class Trial:
    """One image that was looked at.

    Attributes:
        modality: What it shows.
        source: Whose real image it is a variant of; "" of a phantom.
        planted: The text; None where there is none.
        is_held: Whether the detector holds it back.
    """

    modality: str
    source: str
    planted: Planted | None
    is_held: bool


def clean_image(modality: str, seed: int, size: int = 0) -> Pixels:
    """A degraded phantom without text, (h, w, 3); the seed decides degradation, severity and, where `size` is 0, its size."""
    rng = np.random.default_rng([seed, 77])
    names = list(DEGRADATIONS[modality])
    chosen = int(rng.choice(_SIZES))
    image = make_phantom(modality, seed, size or chosen)
    severity = ("mild", "severe")[int(rng.integers(2))]
    name = names[rng.integers(len(names))]
    return _colours(degrade(image, modality, name, NONE if name == NONE else severity, rng))


def planted_image(modality: str, seed: int) -> Planted:
    """The same phantom with text."""
    return plant(clean_image(modality, seed), np.random.default_rng([seed, 78]))


def phantom_trials(n: int, modalities: Sequence[str] = MODALITIES) -> Iterator[Trial]:
    """Of each modality n phantoms without text, and the same with text: in fonts fitted to and others, of all heights."""
    for modality in modalities:
        for number in range(n):
            seed, heights = FIRST_TEST_SEED + number, HEIGHTS[number % len(HEIGHTS)]
            clean = clean_image(modality, seed, _LARGE if heights[0] > _TALL else 0)
            yield from _pair(modality, "", clean, heights, np.random.default_rng([seed, 78]))


def real_trials(n: int) -> Iterator[Trial]:
    """Of each source n variants of its images without text, and the same with text."""
    for place, (modality, source, images) in enumerate(_real_images()):
        for number in range(n):
            rng = np.random.default_rng([FIRST_TEST_SEED, place, number])
            clean = _variant(images[number % len(images)], rng)
            yield from _pair(modality, source, clean, HEIGHTS[number % len(HEIGHTS)], rng)


def _pair(
    modality: str, source: str, clean: Pixels, heights: tuple[int, int], rng: np.random.Generator
) -> Iterator[Trial]:
    planted = plant(clean, rng, FONTS + OTHER_FONTS, heights)
    yield Trial(modality, source, None, _is_held(clean))
    yield Trial(modality, source, planted, _is_held(planted.pixels))


def _is_held(pixels: Pixels) -> bool:
    return text_doubt(pixels) >= QUARANTINE_FROM


def _real_images() -> Iterator[tuple[str, str, list[Pixels]]]:
    """Modality, source and images of each patient of whom the installed wheels have some."""
    for source in wheel_sources():
        yield source.modality, source.name, [_colours(read_image(source))]
    head: Any = nibabel.load(Path(nibabel.__file__).parent / _VOLUME)
    volume = head.get_fdata()[..., 0]
    middle = volume[:, :, volume.shape[2] // 4 : 3 * volume.shape[2] // 4]
    shown = np.clip(middle / np.percentile(middle, 99.5), 0.0, 1.0)
    yield "mri", "nibabel-example4d", [_colours(plane.T[::-1]) for plane in np.moveaxis(shown, 2, 0)]


def _variant(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A part of an image, mirrored or not, brighter or darker, in another size."""
    height, width = (max(32, int(side * rng.uniform(0.6, 1.0))) for side in pixels.shape[:2])
    top, left = (int(rng.integers(side - part + 1)) for side, part in zip(pixels.shape, (height, width), strict=False))
    part = pixels[top : top + height, left : left + width]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    lit = 255.0 * (part / 255.0) ** rng.uniform(0.7, 1.4)
    scale = rng.uniform(*_SIDES) / min(height, width)
    picture = Image.fromarray(np.rint(lit).astype(np.uint8))
    return np.asarray(picture.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC))


def _colours(image: np.ndarray) -> Pixels:
    pixels = to_bytes(image)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
