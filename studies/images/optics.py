"""Degradations of optical images (endoscopy, fundus, histopathology): lens, light, colour, codec, dirt.

Images are grey (h, w) or RGB (h, w, 3), float64 in 0..1, any size. Lengths are parts of the shorter side, so
a strength looks alike at any resolution; the codec's blocks are 8 pixels at any size. Each degradation is
pure: (image, strength, rng) -> image of the same shape, clipped to 0..1. What the strength is stands with each; more
of it is always worse. Which strengths are mild and severe is measured: see `severities`.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from scipy.ndimage import convolve, gaussian_filter

from studies.images.drawing import Image, Plane, clip_to_unit, ellipse, line_pixels, unit_grid


def blur_defocus(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Out of focus: convolution with the disc that a point becomes in geometrical optics.

    The strength is the radius of the disc, as a part of the shorter side.
    """
    del rng
    radius = max(1.0, strength * min(image.shape[:2]))
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _convolve(image, np.clip(radius + 0.5 - np.hypot(y, x), 0.0, 1.0))


def blur_motion(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """The camera moves during the exposure: convolution with a straight path of random direction.

    The strength is the length of the path, as a part of the shorter side.
    """
    half = max(1.0, strength * min(image.shape[:2]) / 2)
    reach = int(np.ceil(half))
    angle = rng.uniform(0, np.pi)
    dy, dx = half * np.sin(angle), half * np.cos(angle)
    path = line_pixels((reach - dy, reach - dx), (reach + dy, reach + dx), (2 * reach + 1, 2 * reach + 1))
    return _convolve(image, path)


def darken_unevenly(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Light that falls off from one side to the other, as of a source beside the axis.

    The strength is the part of the light that is missing in the darkest corner, 0..1.
    """
    y, x = unit_grid(image.shape)
    angle = rng.uniform(0, 2 * np.pi)
    distance = np.hypot(y - 0.7 * np.sin(angle), x - 0.7 * np.cos(angle)) / 2.1
    light = 1.0 - strength * np.clip(distance * 1.5 - 0.15, 0.0, 1.0)
    return clip_to_unit(image * _over_channels(light, image))


def lower_contrast(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """A veil of stray light: every value moves towards one grey level.

    The strength is the part of the distance that is lost, 0..1.
    """
    veil = rng.uniform(0.4, 0.55)
    return clip_to_unit(veil + (1.0 - strength) * (image - veil))


def cast_colour(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """A wrong white balance or staining: the channels are multiplied by different gains.

    A grey image has no colour to shift: it only darkens, by the strongest gain.

    The strength is by how much the gains of the strongest and the weakest channel differ from 1.
    """
    gain = strength * np.array([-1.0, rng.uniform(-0.3, 0.9), 1.0])
    if image.ndim == 2:
        return clip_to_unit(image / (1.0 + strength))
    if rng.random() < 0.3:
        gain = gain[[0, 2, 1]]
    return clip_to_unit(image * (1.0 + gain) + 0.12 * np.maximum(gain, 0.0))


def compress_jpeg(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Stored by baseline JPEG at a low quality: blocks of 8 x 8 pixels, ringing, coarse colour.

    The strength is the factor over the tables of quality 50.
    """
    del rng
    stream = io.BytesIO()
    PilImage.fromarray(to_bytes(image)).save(stream, "JPEG", quality=max(1, round(50.0 / strength)), subsampling=2)
    return np.asarray(PilImage.open(stream), dtype=np.float64) / 255.0


def add_specular_reflections(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Wet mucosa mirrors the lamp: saturated elongated spots with a soft halo, more where it is bright.

    The strength is the mean number of spots.
    """
    side = min(image.shape[:2])
    mask = np.zeros(image.shape[:2])
    for _ in range(_number(strength, rng)):
        cy, cx = _place(image, rng)
        ry, rx = side * rng.uniform(0.012, 0.05, 2)
        mask = np.maximum(mask, _disc(image, cy, cx, ry, rx, rng.uniform(0, np.pi), 0.02 * side))
    halo = 0.5 * gaussian_filter(mask, 0.02 * side)
    return clip_to_unit(image + _over_channels(np.maximum(mask, halo), image) * (1.1 - image))


def add_bubbles(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Bubbles in the liquid or under the cover glass: pale discs, a dark outline, one bright reflex.

    The strength is the mean number of bubbles.
    """
    side = min(image.shape[:2])
    for _ in range(_number(strength, rng)):
        cy, cx = rng.uniform(0, image.shape[0]), rng.uniform(0, image.shape[1])
        radius = side * rng.uniform(0.06, 0.13)
        soft = 0.015 * side
        outer = _disc(image, cy, cx, radius, radius, 0.0, soft)
        inner = _disc(image, cy, cx, 0.8 * radius, 0.8 * radius, 0.0, soft)
        reflex = _disc(image, cy - 0.35 * radius, cx - 0.35 * radius, 0.2 * radius, 0.2 * radius, 0.0, soft)
        image = image * (1.0 - 0.65 * _over_channels(outer - inner, image))
        image = image + 0.35 * _over_channels(inner, image) * (1.0 - image)
        image = image + _over_channels(reflex, image) * (1.0 - image)
    return clip_to_unit(image)


def add_dark_spots(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Dirt on the slide or the lens: opaque irregular specks.

    The strength is the mean number of specks.
    """
    side = min(image.shape[:2])
    for _ in range(_number(strength, rng)):
        cy, cx = rng.uniform(0, image.shape[0]), rng.uniform(0, image.shape[1])
        ry, rx = side * rng.uniform(0.04, 0.11, 2)
        speck = _disc(image, cy, cx, ry, rx, rng.uniform(0, np.pi), 0.02 * side)
        image = image * (1.0 - 0.9 * _over_channels(speck, image))
    return clip_to_unit(image)


def to_bytes(image: Image) -> NDArray[np.uint8]:
    """The image in 0..1 as 8-bit values, rounded to the nearest."""
    return np.asarray(np.rint(clip_to_unit(image) * 255.0), dtype=np.uint8)


def _convolve(image: Image, kernel: NDArray[np.float64]) -> Image:
    """Each channel convolved with a kernel scaled to sum 1, edges repeated."""
    weights = (kernel / kernel.sum()).reshape(*kernel.shape, *([1] * (image.ndim - 2)))
    return clip_to_unit(convolve(image, weights, mode="nearest"))


def _number(mean: float, rng: np.random.Generator) -> int:
    """One of the two whole numbers next to the mean."""
    return int(mean) + int(rng.random() < mean % 1.0)


def _over_channels(plane: Plane, image: Image) -> Plane:
    """The (h, w) plane shaped to broadcast over the image's channels."""
    return plane if image.ndim == 2 else plane[..., None]


def _disc(image: Image, cy: float, cx: float, ry: float, rx: float, angle: float, soft: float) -> Plane:
    """A mask of an ellipse given in pixels."""
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]].astype(np.float64)
    return ellipse(y, x, cy, cx, ry, rx, angle, soft=max(soft, 1.0))


def _place(image: Image, rng: np.random.Generator) -> tuple[float, float]:
    """A random pixel, the brightest of three tries."""
    tries = rng.integers(0, image.shape[:2], size=(3, 2))
    brightest = max(tries.tolist(), key=lambda place: float(np.mean(image[place[0], place[1]])))
    return float(brightest[0]), float(brightest[1])
