"""Degradations of computed tomography, made where they arise: in the sinogram.

A grey value is taken as proportional to the attenuation, and the scan is scaled so that its largest line
integral is `LARGEST_INTEGRAL` nepers. Filtered back-projection is linear, so only the *disturbance* of the
sinogram is reconstructed and added to the image: the anatomy keeps its resolution, and a clean image is not
told by its blur.

Images are grey, float64 in 0..1, any size. Each degradation is pure: (image, strength, rng) -> image of the
same shape, clipped to 0..1. What the strength is stands with each; more of it is always worse. Which strengths are
mild and severe is measured: see `severities`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from studies.images.drawing import Image, clip_to_unit

Sinogram = NDArray[np.float64]

LARGEST_INTEGRAL = 4.0
"""Nepers through the thickest part: about 20 cm of water at 70 keV."""

N_ANGLES = 90
"""Projections over half a turn of the full scan."""


def project(image: Image, angles: NDArray[np.float64]) -> Sinogram:
    """Line integrals of the image (the Radon transform), each pixel shared linearly by two detector cells.

    Args:
        image: (h, w) float64.
        angles: (a,) radians.

    Returns:
        (a, d) float64 in pixel lengths, d = `detector_cells(image.shape)`, one detector cell per pixel.
    """
    cells = detector_cells(image.shape)
    y, x, weights = _centred(image.shape), _centred(image.shape, 1), image.ravel()
    sinogram = np.zeros((len(angles), cells))
    for row, angle in zip(sinogram, angles, strict=True):
        place = (x * np.cos(angle) + y * np.sin(angle)).ravel() + cells // 2
        left = place.astype(np.intp)
        part = place - left
        row += np.bincount(left, weights * (1.0 - part), cells) + np.bincount(left + 1, weights * part, cells)
    return sinogram


def back_project(sinogram: Sinogram, angles: NDArray[np.float64], shape: tuple[int, ...]) -> Image:
    """Filtered back-projection with the ramp filter.

    Args:
        sinogram: (a, d) float64, as `project` gives it.
        angles: (a,) radians, evenly spaced over half a turn.
        shape: (h, w) of the image.

    Returns:
        (h, w) float64; `back_project(project(image))` is the image up to the resolution of the scan.

    Source: Kak and Slaney 1988, Principles of Computerized Tomographic Imaging, section 3.3.3
    (the ramp by its sampled kernel).
    """
    cells = sinogram.shape[1]
    y, x = _centred(shape), _centred(shape, 1)
    image, axis = np.zeros(shape), np.arange(cells, dtype=np.float64)
    for row, angle in zip(_ramp_filtered(sinogram), angles, strict=True):
        image += np.interp(x * np.cos(angle) + y * np.sin(angle) + cells // 2, axis, row)
    return np.asarray(image * np.pi / len(angles))


def add_low_dose_noise(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Few photons: counts are Poisson around I0 exp(-p), so the noise is largest behind thick parts.

    The strength is the relative noise of a ray that meets nothing, I0 ** -0.5.
    """
    angles = _angles(N_ANGLES)
    sinogram, scale = _attenuation(image, angles)
    noise = _count(sinogram, strength**-2, rng) - sinogram
    return clip_to_unit(image + back_project(noise, angles, image.shape) / scale)


def add_sparse_view_streaks(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Few projections: streaks from every edge, the sparse reconstruction less the full one.

    The strength is the angle between two projections, in degrees.
    """
    full = _angles(N_ANGLES)
    n_views = max(2, round(180.0 / strength))
    sparse = _angles(n_views) + rng.uniform(0.0, np.pi / n_views)
    few = back_project(project(image, sparse), sparse, image.shape)
    return clip_to_unit(image + few - back_project(project(image, full), full, image.shape))


def add_metal(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """One or two implants that let almost nothing through: bright metal, dark bands and streaks.

    Beam hardening and the detector's floor make the measured integral of a ray through metal smaller than the
    true one: it saturates at 1.5 times `LARGEST_INTEGRAL`. The strength is the radius of an implant, as a part of the
    shorter side.
    """
    angles = _angles(N_ANGLES)
    sinogram, scale = _attenuation(image, angles)
    radius = strength * min(image.shape)
    metal = np.zeros(image.shape)
    body = np.argwhere(image > 0.3)
    rows, columns = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    for _ in range(rng.integers(1, 3)):
        cy, cx = body[rng.integers(len(body))] if len(body) else np.array(image.shape) // 2
        metal = np.maximum(metal, np.clip(radius + 0.5 - np.hypot(rows - cy, columns - cx), 0.0, 1.0))
    through = sinogram + project(metal, angles) * LARGEST_INTEGRAL / radius
    ceiling = 1.5 * LARGEST_INTEGRAL
    measured = ceiling * np.tanh(through / ceiling) - ceiling * np.tanh(sinogram / ceiling)
    disturbed = image + back_project(measured * (through > sinogram), angles, image.shape) / scale
    return clip_to_unit(np.maximum(disturbed, metal))


def add_rings(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Detector cells with a wrong gain: the same error in every projection, a ring around the centre.

    The strength is the error of the logarithmic gain, in nepers.
    """
    angles = _angles(N_ANGLES)
    _, scale = _attenuation(image, angles)
    cells = detector_cells(image.shape)
    reach = int(0.42 * min(image.shape))
    bad = cells // 2 + rng.choice(np.arange(3, reach), size=7, replace=False) * rng.choice([-1, 1], size=7)
    error = np.zeros(cells)
    error[bad] = strength * rng.choice([-1.0, 1.0], size=7) * rng.uniform(0.7, 1.3, 7)
    rings = back_project(np.tile(error, (len(angles), 1)), angles, image.shape)
    return clip_to_unit(image + rings / scale)


def add_cupping(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Beam hardening without a correction: thick parts attenuate too little, and the middle of the body is too dark.

    A ray of p nepers is measured as p - strength p^2 / `LARGEST_INTEGRAL` (the second term of the polynomial of
    Herman 1979, doi 10.1088/0031-9155/24/1/008); the strength is the part that the thickest ray loses, 0..1.
    """
    del rng
    angles = _angles(N_ANGLES)
    sinogram, scale = _attenuation(image, angles)
    lost = strength * sinogram**2 / LARGEST_INTEGRAL
    return clip_to_unit(image - back_project(lost, angles, image.shape) / scale)


def detector_cells(shape: tuple[int, ...]) -> int:
    """Detector cells that cover the diagonal of an (h, w) image with a margin of two."""
    return int(np.ceil(np.hypot(shape[0], shape[1]))) + 4


def _angles(count: int) -> NDArray[np.float64]:
    """`count` angles over half a turn, in radians."""
    return np.linspace(0.0, np.pi, count, endpoint=False)


def _centred(shape: tuple[int, ...], axis: int = 0) -> NDArray[np.float64]:
    """Pixel coordinates along one axis, 0 in the middle, shaped to broadcast over the image."""
    middle = np.arange(shape[axis], dtype=np.float64) - (shape[axis] - 1) / 2
    return np.asarray(np.expand_dims(middle, 1 - axis))


def _attenuation(image: Image, angles: NDArray[np.float64]) -> tuple[Sinogram, float]:
    """The sinogram in nepers, and the factor from grey times pixel length to nepers."""
    sinogram = project(image, angles)
    scale = LARGEST_INTEGRAL / max(float(sinogram.max()), 1e-9)
    return sinogram * scale, scale


def _count(sinogram: Sinogram, photons: float, rng: np.random.Generator) -> Sinogram:
    """Line integrals as measured with a finite number of photons (at least one is counted)."""
    return np.asarray(-np.log(np.maximum(rng.poisson(photons * np.exp(-sinogram)), 1) / photons))


def _ramp_filtered(sinogram: Sinogram) -> Sinogram:
    """Each projection convolved with the ramp kernel: 1/4 at 0, -1/(pi n)^2 at odd n, 0 at even n."""
    cells = sinogram.shape[1]
    length = next_fast_len(2 * cells)
    n = np.minimum(np.arange(length), length - np.arange(length))
    kernel = np.where(n % 2 == 1, -1.0 / (np.pi * np.maximum(n, 1)) ** 2, np.where(n == 0, 0.25, 0.0))
    return np.asarray(irfft(rfft(sinogram, length) * rfft(kernel).real, length)[:, :cells])
