"""Degradations of magnetic resonance images, made where they arise: in k-space, in the coil, in the field.

Images are grey, float64 in 0..1, any size. The rows of k-space are the phase-encoding lines. Each degradation
is pure: (image, strength, rng) -> image of the same shape, clipped to 0..1. What the strength is stands with each;
more of it is always worse. Which strengths are mild and severe is measured: see `severities`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2, fftfreq, ifft2
from scipy.ndimage import map_coordinates

from studies.images.drawing import Image, clip_to_unit, ellipse, unit_grid

CENTRE_RATIO = 0.08
"""The part of the phase-encoding lines, around the centre of k-space, that is always measured."""


def add_motion_ghosts(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """The patient moves to and fro during the scan: each line of k-space is taken at another shift.

    A shift by s pixels along the rows multiplies line k by exp(-2 pi i k s) (the Fourier shift theorem). The
    shift is a sine over the order of acquisition, so copies of the object appear along the phase encoding;
    the three lines at the centre, which hold the mean, stay where they are. The strength is the amplitude of
    the shift, as a part of the field of view.
    """
    rows = image.shape[0]
    order = np.argsort(np.argsort(fftfreq(rows)))
    cycles, phase = rng.uniform(5.0, 12.0), rng.uniform(0, 2 * np.pi)
    shift = strength * rows * np.sin(2 * np.pi * cycles * order / rows + phase)
    shift[np.abs(fftfreq(rows)) < 1.5 / rows] = 0.0
    moved = fft2(image) * np.exp(-2j * np.pi * fftfreq(rows) * shift)[:, None]
    return clip_to_unit(np.abs(ifft2(moved)))


def sampling_mask(rows: int, strength: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which lines of k-space an accelerated scan measures.

    Args:
        rows: Number of phase-encoding lines.
        strength: The acceleration, 1 or more: all lines divided by those that are measured.
        rng: Chooses the offset of the regular pattern.

    Returns:
        (rows,) bool in the order of `scipy.fft.fftfreq`: the centre whole, outside it a regular comb, so that
        the missing lines fold into distinct copies.
    """
    frequency = fftfreq(rows)
    centre: NDArray[np.bool_] = np.abs(frequency) <= CENTRE_RATIO / 2
    wanted = max(0, round(rows / strength) - int(centre.sum()))
    outside = np.flatnonzero(~centre)[np.argsort(frequency[~centre])]
    start = rng.uniform(0.0, len(outside) / max(wanted, 1))
    comb = (start + np.arange(wanted) * len(outside) / max(wanted, 1)).astype(int) % len(outside)
    mask = centre.copy()
    mask[outside[comb]] = True
    return mask


def undersample(image: Image, mask: NDArray[np.bool_]) -> NDArray[np.complex128]:
    """The zero-filled reconstruction: measured lines as they are, the others 0.

    Args:
        image: (h, w) float64.
        mask: (h,) bool, the measured lines in FFT order.

    Returns:
        (h, w) complex128 whose Fourier transform equals the image's on the measured lines.
    """
    return np.asarray(ifft2(fft2(image) * mask[:, None]))


def add_aliasing(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """The scan is accelerated by leaving out phase-encoding lines: the object folds over itself.

    The strength is the acceleration, 1 or more.
    """
    mask = sampling_mask(image.shape[0], strength, rng)
    return clip_to_unit(np.abs(undersample(image, mask)))


def add_inhomogeneity(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """A surface coil hears one side better: the image times a smooth sensitivity, brightest at full signal.

    The sensitivity falls as a Gaussian with the distance from a point near the edge of the field of view. The
    strength is the part of it that is lost far from the coil, 0..1.
    """
    y, x = unit_grid(image.shape)
    angle = rng.uniform(0, 2 * np.pi)
    distance = (y - 0.8 * np.sin(angle)) ** 2 + (x - 0.8 * np.cos(angle)) ** 2
    sensitivity = 1.0 - strength * (1.0 - np.exp(-distance / 0.9))
    return clip_to_unit(image * sensitivity * 1.1)


def add_rician_noise(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Thermal noise in both receiver channels; the magnitude image is Rician, with a floor in the air.

    The strength is the deviation of the noise in either channel, full scale 1.
    """
    real, imaginary = rng.normal(0.0, strength, (2, *image.shape))
    return clip_to_unit(np.hypot(image + real, imaginary))


def add_spikes(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """A spark in the receiver chain: a few samples of k-space are far too large, each a wave of stripes over the image.

    Three samples between a tenth and a third of the sampling frequency from the centre, at random angles. The strength is
    the amplitude of each wave in the image, full scale 1.
    """
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    stripes = np.zeros(image.shape)
    for _ in range(3):
        radius, angle, phase = rng.uniform(0.1, 0.33), rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        row, column = (
            round(radius * part * n) / n for part, n in zip((np.sin(angle), np.cos(angle)), image.shape, strict=True)
        )
        stripes += np.cos(2 * np.pi * (row * y + column * x) + phase)
    return clip_to_unit(np.abs(image + strength * stripes))


def add_susceptibility(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Metal or air beside tissue bends the field: a void with a bright rim, and the rows around it displaced.

    The displacement along the read-out direction is that of a dipole, falling with the cube of the distance. The
    strength is the radius of the void, as a part of the shorter side.
    """
    height, width = image.shape
    tissue = np.argwhere(image > 0.25 * image.max())
    cy, cx = tissue[rng.integers(len(tissue))] if len(tissue) else (height // 2, width // 2)
    radius = strength * min(height, width)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    distance = np.hypot(y - cy, x - cx) + 1e-9
    dipole = (1.0 - 3.0 * ((y - cy) / distance) ** 2) * np.minimum(1.0, (radius / distance) ** 3)
    warped = map_coordinates(image, [y, x + 0.7 * radius * dipole], order=1, mode="nearest")
    void = ellipse(y, x, cy, cx, radius, 0.8 * radius, soft=0.3 * radius)
    rim = ellipse(y, x, cy, cx, 1.25 * radius, 1.05 * radius, soft=0.3 * radius) - void
    return clip_to_unit(warped * (1.0 - void) + 0.7 * rim * (warped > 0.05))
