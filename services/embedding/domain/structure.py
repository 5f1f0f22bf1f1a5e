"""What an image shows, in few bits: a hash of its coarse structure that most degradations leave as it is.

It serves to find *degraded twins*: two pictures of one object, degraded apart, without an id that says so. A perceptual hash
follows light and contrast; this one is made of phases. Blur, noise, uneven light and lower contrast change how strong a spatial
frequency is more than where it lies, so the sign of the real and of the imaginary part of a Fourier coefficient often stays.
Nothing is learned. Knows no files and no labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Height and width, in pixels, to which an image is brought before it is hashed.
SIDE = 64
_SIGMA = 3.0  # pixels; what is larger is light, and is taken away
_LOWEST, _HIGHEST = 3.0, 12.0  # cycles an image
_CLIP = 3.0
_SMALL = 1e-6


def structure_hash(grey: NDArray[np.uint8]) -> str:
    """Signs of the low Fourier coefficients of the locally normalised image, as phase-only correlation compares them.

    Args:
        grey: (64, 64) uint8, the whole image.

    Returns: 104 hexadecimal digits: 208 coefficients of 3 to 12 cycles an image, two bits each. Zeros for a blank image.
    Source: phase-only correlation (Kuglin & Hines 1975); that two bits of a phase suffice, and the numbers, are ours,
        measured by `python -m studies.twins`.
    """
    image = grey.astype(np.float64) / 255.0
    detail = image - ndimage.gaussian_filter(image, _SIGMA)
    spread = np.sqrt(ndimage.gaussian_filter(detail**2, _SIGMA))
    normalised = np.clip(detail / (spread + 0.05 * detail.std() + 0.01), -_CLIP, _CLIP)
    window = np.hanning(SIDE + 2)[1:-1]
    spectrum = np.fft.rfft2(normalised * np.outer(window, window))[_BAND]
    bits = np.concatenate([spectrum.real > _SMALL, spectrum.imag > _SMALL])
    return np.packbits(bits).tobytes().hex()


def _band() -> NDArray[np.bool_]:
    """(64, 33) which coefficients count; of two that are each other's conjugate, one."""
    y, x = np.meshgrid(np.fft.fftfreq(SIDE) * SIDE, np.fft.rfftfreq(SIDE) * SIDE, indexing="ij")
    radius = np.hypot(y, x)
    return np.asarray((radius >= _LOWEST) & (radius <= _HIGHEST) & ((x > 0) | (y > 0)))


_BAND = _band()
