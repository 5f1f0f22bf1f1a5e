"""Synthetic images of five modalities: one seed is one source is one patient.

The phantoms are drawings, not simulations of an acquisition: ellipses, curves and smooth random fields that
carry what degradations act on (edges, flat areas, colour, texture). Two seeds differ in anatomy, contrast,
position and angle. The module knows nothing of degradations, questions or files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from shared.errors import InvalidArgument
from studies.images.drawing import Image, Plane, curve, ellipse, field, grid, nearest_pixel, paint

SMALLEST_SIZE = 32
"""Below this many pixels a side the anatomy is no longer drawn (nuclei and vessels vanish)."""


def make_phantom(modality: str, seed: int, size: int = 96) -> Image:
    """Draw the clean image of one source.

    Args:
        modality: One of `MODALITIES`.
        seed: The source; the same seed, modality and size give the same pixels.
        size: Height and width in pixels, at least `SMALLEST_SIZE`.

    Returns:
        float64 in 0..1: (size, size) for mri and ct, (size, size, 3) RGB for the others.

    Raises:
        InvalidArgument: an unknown modality, a negative seed or too small a size.
    """
    if modality not in PHANTOMS:
        remedy = f"use one of {', '.join(MODALITIES)}"
        raise InvalidArgument("No phantom of this modality.", field="modality", value=modality, remedy=remedy)
    if seed < 0:
        raise InvalidArgument("A seed is not negative.", field="seed", value=seed)
    if size < SMALLEST_SIZE:
        remedy = f"use {SMALLEST_SIZE} or more"
        raise InvalidArgument("The phantom is too small.", field="size", value=size, remedy=remedy)
    rng = np.random.default_rng([seed, MODALITIES.index(modality)])
    return np.clip(PHANTOMS[modality](rng, size), 0.0, 1.0)


def draw_mri(rng: np.random.Generator, size: int) -> Image:
    """A head in cross-section: scalp, skull, folded cortex, white matter, ventricles, deep nuclei."""
    y, x = grid(rng, size, shift=0.06, turn=0.25, scale=(0.92, 1.12))
    is_t2 = rng.random() < 0.5
    grey, white, fluid = (0.62, 0.42, 0.95) if is_t2 else (0.45, 0.68, 0.12)
    ry, rx = rng.uniform(0.78, 0.88), rng.uniform(0.62, 0.74)
    folds = field(rng, size, 0.03) * 0.9
    brain = ellipse(y, x, 0.0, 0.0, ry - 0.12, rx - 0.12)
    matter = ellipse(y, x, 0.0, 0.0, ry - 0.27, rx - 0.25, wobble=folds * 0.22)
    image = 0.75 * ellipse(y, x, 0.0, 0.0, ry, rx) - 0.68 * ellipse(y, x, 0.0, 0.0, ry - 0.05, rx - 0.05)
    image = paint(image, brain, grey + 0.05 * folds)
    image = paint(image, matter, white + 0.03 * field(rng, size, 0.05))
    image = paint(image, brain * np.exp(-((x / 0.015) ** 2)), fluid * 0.8 + 0.1)
    gap, height = rng.uniform(0.09, 0.15), rng.uniform(0.15, 0.27)
    for side in (-1.0, 1.0):
        image = paint(image, ellipse(y, x, -0.05, side * gap, height, rng.uniform(0.04, 0.08), side * 0.35), fluid)
        deep = ellipse(y, x, 0.12, side * (gap + 0.14), 0.13, 0.08, side * 0.4)
        image = paint(image, deep, (grey + white) / 2)
    if rng.random() < 0.4:
        where = rng.uniform(-0.35, 0.35, 2)
        image = paint(image, ellipse(y, x, where[0], where[1], *rng.uniform(0.05, 0.12, 2)), 0.9)
    return np.clip(image * rng.uniform(0.85, 1.0), 0.0, 1.0)


def draw_ct(rng: np.random.Generator, size: int) -> Image:
    """A trunk in cross-section, chest or abdomen; grey is the window -300..500 HU."""
    y, x = grid(rng, size, shift=0.05, turn=0.12, scale=(0.84, 1.0))
    ry, rx = rng.uniform(0.6, 0.7), rng.uniform(0.8, 0.88)
    fat = rng.uniform(0.05, 0.12)
    texture = field(rng, size, 0.03)
    hu = np.full((size, size), -1000.0)
    hu = paint(hu, ellipse(y, x, 0.0, 0.0, ry, rx), -100.0)
    hu = paint(hu, ellipse(y, x, 0.0, 0.0, ry - fat, rx - fat), 30.0 + 12.0 * texture)
    hu = _chest(rng, hu, y, x, texture) if rng.random() < 0.5 else _abdomen(rng, hu, y, x, texture)
    hu = paint(hu, ellipse(y, x, 0.33, 0.0, 0.13, 0.12), 420.0)
    hu = paint(hu, ellipse(y, x, 0.45, 0.0, 0.05, 0.05), 60.0)
    hu = paint(hu, ellipse(y, x, 0.1, 0.04, 0.06, 0.06), rng.uniform(120.0, 320.0))
    for angle in np.linspace(0.0, 2 * np.pi, int(rng.integers(9, 13)), endpoint=False) + rng.uniform(0, 0.5):
        cy, cx = (ry - fat - 0.03) * np.sin(angle), (rx - fat - 0.03) * np.cos(angle)
        hu = paint(hu, ellipse(y, x, cy, cx, 0.035, 0.09, angle + np.pi / 2), 480.0)
    return np.clip((hu + 300.0) / 800.0, 0.0, 1.0)


def _chest(rng: np.random.Generator, hu: Image, y: Plane, x: Plane, texture: Plane) -> Image:
    """Two lungs and a heart."""
    for side in (-1.0, 1.0):
        height, width = rng.uniform(0.38, 0.46), rng.uniform(0.24, 0.3)
        lung = ellipse(y, x, -0.03, side * 0.42, height, width, side * 0.15)
        hu = paint(hu, lung, -240.0 + 140.0 * np.maximum(texture, 0.2))
    return paint(hu, ellipse(y, x, -0.1, 0.1, 0.22, 0.24, 0.3), 90.0)


def _abdomen(rng: np.random.Generator, hu: Image, y: Plane, x: Plane, texture: Plane) -> Image:
    """Liver, spleen, two kidneys, and a stomach that holds gas in some sources."""
    organs = (
        (-0.12, -0.36, rng.uniform(0.26, 0.36), rng.uniform(0.26, 0.36), 120.0),
        (-0.02, 0.48, 0.2, 0.13, 150.0),
        (0.2, -0.28, 0.13, 0.09, 190.0),
        (0.2, 0.28, 0.13, 0.09, 190.0),
        (-0.25, 0.2, 0.14, 0.18, rng.uniform(-250.0, 60.0)),
    )
    for cy, cx, height, width, value in organs:
        dy, dx = rng.uniform(-0.04, 0.04, 2)
        hu = paint(hu, ellipse(y, x, cy + dy, cx + dx, height, width), value + 10.0 * texture)
    return hu


def draw_endoscopy(rng: np.random.Generator, size: int) -> Image:
    """Pink mucosa seen along a tube: dark lumen, ring folds, fine vessels, a polyp in some sources."""
    y, x = grid(rng, size, shift=0.35, turn=np.pi, scale=(0.9, 1.1))
    radius = np.hypot(y, x * rng.uniform(0.85, 1.2)) + 0.05 * field(rng, size, 0.08)
    lumen = rng.uniform(0.16, 0.28)
    lit = 1.0 - np.exp(-((radius / (2.2 * lumen)) ** 2))
    phase = (
        rng.uniform(6.0, 9.0) * np.log(np.maximum(radius, 0.0) + 0.12)
        + 0.5 * field(rng, size, 0.12)
        + rng.uniform(0, 6.3)
    )
    light = 0.12 + lit * (0.62 + 0.2 * np.sin(phase) + 0.04 * field(rng, size, 0.02))
    hue = rng.uniform(-1.0, 1.0)
    tint = np.array([0.98, 0.56 + 0.06 * hue, 0.48 - 0.06 * hue])
    image = light[..., None] * tint
    for _ in range(int(rng.integers(4, 8))):
        vessel = curve(rng, size, rng.uniform(0.1, 0.9, 2), rng.uniform(0, 6.3), 0.5, 0.007)
        image *= 1.0 - vessel[..., None] * np.array([0.12, 0.38, 0.32])
    if rng.random() < 0.5:
        cy, cx = rng.uniform(-0.5, 0.5, 2)
        polyp = ellipse(y, x, cy, cx, *rng.uniform(0.12, 0.22, 2))
        image = paint(image, polyp[..., None] * 0.75, np.array([0.93, 0.42, 0.4]))
    return np.asarray(image)


def draw_fundus(rng: np.random.Generator, size: int) -> Image:
    """A retina: round field on black, bright optic disc with a cup, branching vessels, darker macula."""
    y, x = grid(rng, size, shift=0.03, turn=0.15, scale=(0.98, 1.06))
    side = rng.choice([-1.0, 1.0])
    hue = rng.uniform(-1.0, 1.0)
    base = np.array([0.8, 0.4 + 0.06 * hue, 0.2 + 0.05 * hue])
    shade = 0.88 + 0.12 * np.exp(-(y**2 + (x - 0.3 * side) ** 2)) + 0.035 * field(rng, size, 0.03)
    image = shade[..., None] * base
    disc_y, disc_x = rng.uniform(-0.1, 0.1), side * rng.uniform(0.4, 0.5)
    macula = np.exp(-((y - disc_y - 0.05) ** 2 + (x + 0.12 * side) ** 2) / 0.02)
    image *= 1.0 - 0.45 * macula[..., None]
    disc = ellipse(y, x, disc_y, disc_x, rng.uniform(0.14, 0.18), rng.uniform(0.12, 0.15))
    image = paint(image, disc[..., None], np.array([0.97, 0.82, 0.52]))
    start = np.array([nearest_pixel(y, x, disc_y, disc_x)]) / size
    vessels = np.zeros((size, size))
    for turn in (-1.0, 1.0):
        for _ in range(3):
            angle = turn * rng.uniform(0.6, 1.7) + (np.pi if side > 0 else 0.0)
            vessels = np.maximum(vessels, curve(rng, size, start[0], angle, 0.75, 0.011, bend=-turn * side))
        vessels = np.maximum(vessels, curve(rng, size, start[0], turn * 0.9 * side, 0.35, 0.009))
    image *= 1.0 - vessels[..., None] * np.array([0.38, 0.62, 0.5])
    cup = ellipse(y, x, disc_y, disc_x, rng.uniform(0.05, 0.09), rng.uniform(0.04, 0.08))
    image = paint(image, cup[..., None], np.array([1.0, 0.93, 0.75]))
    return np.asarray(image * ellipse(y, x, 0.0, 0.0, 0.95, 0.95)[..., None])


def draw_histopathology(rng: np.random.Generator, size: int) -> Image:
    """A section stained with haematoxylin and eosin: pink stroma, white gaps, purple nuclei."""
    stain = rng.uniform(-1.0, 1.0)
    eosin = np.array([0.93, 0.64 + 0.05 * stain, 0.78 + 0.03 * stain])
    fibres = field(rng, size, (0.012, rng.uniform(0.03, 0.07)))
    coarse = field(rng, size, 0.1)
    image = eosin * (1.0 + 0.05 * fibres + 0.03 * coarse)[..., None]
    gaps = 1.0 / (1.0 + np.exp(-14.0 * (coarse - rng.uniform(1.0, 1.6))))
    image = paint(image, gaps[..., None], np.array([0.97, 0.95, 0.97]))
    purple = np.array([0.36, 0.22 + 0.06 * stain, 0.56])
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float64)
    radius = size * rng.uniform(0.026, 0.04)
    for _ in range(int(rng.integers(45, 90))):
        cy, cx = rng.uniform(0, size, 2)
        if gaps[int(cy), int(cx)] > 0.4:
            continue
        reach = int(3 * radius)
        box = np.s_[max(0, int(cy) - reach) : int(cy) + reach, max(0, int(cx) - reach) : int(cx) + reach]
        ry, rx = radius * rng.uniform(0.6, 1.3, 2)
        mask = ellipse(rows[box], columns[box], cy, cx, ry, rx, rng.uniform(0, 3.14), soft=0.25)
        tone = purple * rng.uniform(0.8, 1.25)
        image[box] = paint(image[box], 0.92 * mask[..., None], tone)
    return np.asarray(image)


PHANTOMS: Mapping[str, Callable[[np.random.Generator, int], Image]] = MappingProxyType(
    {
        "mri": draw_mri,
        "ct": draw_ct,
        "endoscopy": draw_endoscopy,
        "fundus": draw_fundus,
        "histopathology": draw_histopathology,
    }
)
"""Modality to the function that draws one of its sources."""

MODALITIES = tuple(PHANTOMS)
