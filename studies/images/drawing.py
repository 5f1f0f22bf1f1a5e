"""Soft-edged shapes, smooth random fields and wandering lines: what the phantoms are drawn with.

Masks are float64 in 0..1. Nothing here knows of a modality.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, zoom
from skimage.draw import line

Image = NDArray[np.float64]
Plane = NDArray[np.float64]


def grid(
    rng: np.random.Generator, size: int, *, shift: float, turn: float, scale: tuple[float, float]
) -> tuple[Plane, Plane]:
    """Coordinates (y, x) of the pixels in -1..1 after a random shift, turn (radians) and scale."""
    axis = np.linspace(-1.0, 1.0, size)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    dy, dx = rng.uniform(-shift, shift, 2)
    angle, factor = rng.uniform(-turn, turn), rng.uniform(*scale)
    y, x = (y - dy) * factor, (x - dx) * factor
    return np.cos(angle) * y - np.sin(angle) * x, np.sin(angle) * y + np.cos(angle) * x


def ellipse(
    y: Plane,
    x: Plane,
    cy: float,
    cx: float,
    ry: float,
    rx: float,
    angle: float = 0.0,
    *,
    wobble: Plane | float = 0.0,
    soft: float = 0.02,
) -> Plane:
    """A mask in 0..1 with an edge about `soft` of the coordinate unit wide; `wobble` bends the outline."""
    across, along = y - cy, x - cx
    v = np.cos(angle) * across - np.sin(angle) * along
    u = np.sin(angle) * across + np.cos(angle) * along
    distance = (np.sqrt((v / ry) ** 2 + (u / rx) ** 2) - 1.0 + wobble) * min(ry, rx)
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(distance / (soft / 2), -40.0, 40.0))))


def paint(image: Image, mask: Plane, value: Image | float) -> Image:
    """The image with `value` laid over it where the mask is 1."""
    return np.asarray(image * (1.0 - mask) + value * mask)


def field(rng: np.random.Generator, size: int, scale: float | tuple[float, float]) -> Plane:
    """A smooth random field of mean 0 and deviation 1; `scale` is its grain as a part of the side."""
    grain = np.broadcast_to(np.asarray(scale, dtype=np.float64) * size, (2,))
    step = max(1, int(min(grain) / 2))
    coarse = gaussian_filter(rng.standard_normal((size // step + 2,) * 2), grain / step, mode="wrap")
    values = zoom(coarse, step, order=1)[:size, :size] if step > 1 else coarse[:size, :size]
    return np.asarray((values - values.mean()) / (values.std() + 1e-12))


def curve(
    rng: np.random.Generator,
    size: int,
    start: NDArray[np.float64],
    angle: float,
    length: float,
    width: float,
    *,
    bend: float = 0.0,
) -> Plane:
    """A vessel as a mask in 0..1: a wandering line from `start` (row, column as parts of the side)."""
    canvas = np.zeros((size, size))
    point, heading = np.array(start) * size, angle
    n_steps = 12
    for _ in range(n_steps):
        heading += rng.normal(0.0, 0.18) + bend * 1.1 / n_steps
        step = np.array([np.sin(heading), np.cos(heading)]) * size * length / n_steps
        canvas = np.maximum(canvas, line_pixels(point, point + step, canvas.shape))
        point = point + step
    blurred = gaussian_filter(canvas, max(0.5, width * size))
    return np.asarray(np.clip(blurred / (blurred.max() + 1e-12) * 1.2, 0.0, 1.0))


def nearest_pixel(y: Plane, x: Plane, cy: float, cx: float) -> tuple[int, int]:
    """The row and column of the pixel nearest to the point (cy, cx)."""
    row, column = np.unravel_index(int(np.argmin((y - cy) ** 2 + (x - cx) ** 2)), y.shape)
    return int(row), int(column)


def unit_grid(shape: tuple[int, ...]) -> tuple[Plane, Plane]:
    """Coordinates (y, x) of the pixels of an (h, w, ...) image, -1..1 along each side."""
    y, x = np.meshgrid(np.linspace(-1.0, 1.0, shape[0]), np.linspace(-1.0, 1.0, shape[1]), indexing="ij")
    return y, x


def clip_to_unit(image: Image) -> Image:
    """The image with what lies outside 0..1 set to the nearer end."""
    return np.asarray(np.clip(image, 0.0, 1.0), dtype=np.float64)


def line_pixels(start: ArrayLike, end: ArrayLike, shape: tuple[int, ...]) -> Plane:
    """A canvas of 0 with 1 on the pixels of a straight line; what lies outside the canvas is left out."""
    ends = np.rint(np.concatenate([start, end])).astype(int)
    rows, columns = line(*ends)  # type: ignore[no-untyped-call]
    canvas = np.zeros(shape)
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    canvas[rows[inside], columns[inside]] = 1.0
    return canvas
