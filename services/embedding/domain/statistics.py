"""What an image looks like, in numbers: sharpness, noise, contrast, light, colour, blocks. Nothing is learned.

Every function takes an image and returns a short vector of fixed length; `image_statistics` joins them. They describe how an
image is made more than what it shows, which is what a search for images of like quality needs. Knows no labels or degradations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from services.embedding.domain.images import SHORTEST_SIDE, check_size
from shared.errors import InvalidArgument

Array = NDArray[np.float64]
#: Longest side that is looked at, in pixels; larger images are reduced by whole factors (block means).
LONGEST_SIDE = 256
_MUCH = 1 << 22  # values; so many as float64 are 32 MiB
_STRIP = 64  # rows that are looked at at once, where all at once would take too much memory
_SMALL = 1e-8
_QUANTILES = np.array([0.02, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.98])


def image_statistics(pixels: NDArray[np.uint8]) -> Array:
    """All statistics of an image, in a fixed order.

    Args:
        pixels: (h, w, 1) grey or (h, w, 3) RGB, uint8, each side at least `SHORTEST_SIDE`; not modified.

    Returns: (d,) float64, finite.

    Raises:
        InvalidArgument: another shape or type, or too small.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.dtype != np.uint8:
        raise InvalidArgument("This is not an image of (h, w, 1 or 3) bytes.", field="pixels", value=pixels.shape)
    check_size(pixels)
    image = reduce_size(pixels)
    grey = luminance(image)
    return np.concatenate(
        [
            power_spectrum(grey),
            gradients(grey),
            residual_noise(grey),
            intensities(grey),
            illumination(grey),
            background(grey),
            repetition(grey),
            colour(image),
            blockiness(pixels),
        ]
    )


def luminance(image: Array) -> Array:
    """(h, w) luma (ITU-R BT.601) of an image (h, w, 1) or (h, w, 3) in 0..1."""
    return image[..., 0] if image.shape[2] == 1 else image @ np.array([0.299, 0.587, 0.114])


def reduce_size(pixels: NDArray[np.uint8]) -> Array:
    """The image in 0..1, reduced by the smallest whole factor that brings its longest side to `LONGEST_SIDE`, by block means."""
    factor = -(-max(pixels.shape[:2]) // LONGEST_SIDE)
    if min(pixels.shape[:2]) // factor < SHORTEST_SIDE:
        # Long and thin: as it is, or where that is much, as thin as can be.
        factor = 1 if pixels.size <= _MUCH else min(pixels.shape[:2]) // SHORTEST_SIDE
    if factor == 1:
        return pixels / 255.0
    height, width = (side // factor for side in pixels.shape[:2])
    sums = np.zeros((height, width, pixels.shape[2]), np.uint32)  # exact, and small where the image is large
    for row in range(factor):
        for column in range(factor):
            sums += pixels[row : height * factor : factor, column : width * factor : factor]
    means: Array = sums / (255.0 * factor**2)
    return means


def power_spectrum(grey: Array) -> Array:
    """(28,) log power in 20 rings of spatial frequency, and its share in 8 directions among the higher ones.

    A Hann window keeps the borders out; frequencies are in cycles a pixel, so images of any size compare.
    """
    window = np.outer(np.hanning(grey.shape[0]), np.hanning(grey.shape[1]))
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2 / (window**2).sum()
    fy, fx = np.meshgrid(np.fft.fftfreq(grey.shape[0]), np.fft.fftfreq(grey.shape[1]), indexing="ij")
    radius = np.hypot(fy, fx)
    ring = np.minimum((radius * 40).astype(np.int64), 20)  # 20: the corners beyond 0.5
    rings = _group_means(power, ring, 21)[:20]
    band = (radius > 0.12) & (radius < 0.5)
    sector = (np.arctan2(fy[band], fx[band]) % np.pi / np.pi * 8 + 0.5).astype(np.int64) % 8
    sectors = _group_means(power[band], sector, 8)
    return np.concatenate([np.log(rings + _SMALL), np.log((sectors + _SMALL) / (sectors.mean() + _SMALL))])


def gradients(grey: Array) -> Array:
    """(14,) histogram of log gradient magnitude, mean of its steepest percent, and balance of the two axes."""
    dy, dx = ndimage.sobel(grey, axis=0) / 8, ndimage.sobel(grey, axis=1) / 8
    magnitude = np.hypot(dy, dx)
    histogram = _log_histogram(magnitude, 1e-3, 0.5, 12)
    steepest = np.log(np.quantile(magnitude, 0.99) + 1e-4)
    balance = np.log((np.abs(dy).mean() + 1e-5) / (np.abs(dx).mean() + 1e-5))
    return np.concatenate([histogram, [steepest, balance]])


def residual_noise(grey: Array) -> Array:
    """(19,) what a 3x3 median takes away: histogram and quantiles of its local spread, tails, in dark and bright."""
    residual = grey - ndimage.median_filter(grey, size=3)
    squared = residual * residual  # numpy's powers above the second take ten times as long
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(squared, size=5), 0.0))
    histogram = _log_histogram(spread, 1e-4, 0.3, 12)
    quantiles = np.log(np.quantile(spread, [0.1, 0.5, 0.9]) + 1e-4)
    sigma = residual.std() + 1e-4
    tails = np.log((squared * squared).mean() / sigma**4 + 1e-2)
    skew = (squared * residual).mean() / sigma**3
    dark, bright = np.quantile(grey, [0.25, 0.75])
    by_level = [np.log(spread[part].mean() + 1e-4) for part in (grey <= dark, grey >= bright)]
    return np.concatenate([histogram, quantiles, [tails, np.clip(skew, -10, 10)], by_level])


def intensities(grey: Array) -> Array:
    """(13,) quantiles of grey, mean, spread, and the shares of black and of white."""
    shares = [(grey < 0.02).mean(), (grey > 0.97).mean()]
    return np.concatenate([np.quantile(grey, _QUANTILES), [grey.mean(), grey.std()], np.sqrt(shares)])


def illumination(grey: Array) -> Array:
    """(9,) how light is spread: trends across the image, centre against rim, block means and contrasts."""
    y, x = np.meshgrid(np.linspace(-1, 1, grey.shape[0]), np.linspace(-1, 1, grey.shape[1]), indexing="ij")
    mean = grey.mean() + 1e-3
    trend = [(grey * shape).mean() / mean for shape in (y, x, y * x, y**2 - x**2, y**2 + x**2)]
    rows, columns = np.array_split(np.arange(grey.shape[0]), 6), np.array_split(np.arange(grey.shape[1]), 6)
    blocks = [grey[np.ix_(r, c)] for r in rows for c in columns]
    means, contrasts = np.array([b.mean() for b in blocks]), np.array([b.std() for b in blocks])
    tail = [means.std() / mean, np.log(contrasts.mean() + 1e-3), contrasts.std() / (contrasts.mean() + 1e-3)]
    return np.concatenate([np.abs(trend[:4]), trend[4:], tail, [np.quantile(means, 0.95) - means.mean()]])


def background(grey: Array) -> Array:
    """(6,) level and unrest of the corners and the darkest fifth: noise, ghosts and wraps show in the void."""
    side_y, side_x = max(4, grey.shape[0] // 8), max(4, grey.shape[1] // 8)
    corners = np.stack(
        [part[:, :side_x] for part in (grey[:side_y], grey[-side_y:], grey[:side_y, ::-1], grey[-side_y:, ::-1])]
    )
    spread = np.sqrt(np.maximum(ndimage.uniform_filter((grey - ndimage.uniform_filter(grey, 3)) ** 2, 3), 0.0))
    is_dark = grey <= np.quantile(grey, 0.2)
    means = corners.mean(axis=(1, 2))
    levels = [means.mean(), means.max() - means.min(), corners.std(axis=(1, 2)).mean()]
    quiet = [np.quantile(spread, 0.05), spread[is_dark].mean()]
    return np.log(np.array([*levels, *quiet, grey[is_dark].mean()]) + 1e-3)


def repetition(grey: Array) -> Array:
    """(10,) autocorrelation of detail along each axis at five ranges of shift: ghosts and folds repeat."""
    detail = grey - ndimage.gaussian_filter(grey, 3.0)
    spectrum = np.abs(np.fft.fft2(detail)) ** 2
    correlation = np.fft.ifft2(spectrum).real
    correlation /= correlation[0, 0] + _SMALL
    parts = []
    for axis in (0, 1):
        line = correlation[:, 0] if axis == 0 else correlation[0]
        for low, high in ((0.02, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.35), (0.35, 0.5)):
            n = len(line)
            parts.append(line[int(low * n) : max(int(high * n), int(low * n) + 1)].max())
    return np.array(parts)


def colour(image: Array) -> Array:
    """(12,) means, spreads and quantiles of two opponent axes and of saturation, log unrest of the axes."""
    image = np.broadcast_to(image, (*image.shape[:2], 3))  # grey is colour of equal channels
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    red_green, yellow_blue = red - green, 0.5 * (red + green) - blue
    saturation = image.max(axis=2) - image.min(axis=2)
    moments = [part for axis in (red_green, yellow_blue) for part in (axis.mean(), axis.std())]
    ranges = np.quantile([red_green, yellow_blue, saturation], (0.1, 0.9), axis=(1, 2)).T.ravel()
    noise = [np.log(np.abs(np.diff(axis, axis=1)).mean() + 1e-3) for axis in (red_green, yellow_blue)]
    return np.array([*moments, *ranges, *noise])


def blockiness(pixels: NDArray[np.uint8]) -> Array:
    """(4,) for each axis: steps at the borders of 8x8 blocks against the others, and the share of flat steps."""
    height, width = pixels.shape[:2]
    down: list[Array] = []  # means of the steps from row to row
    right, n_flat = np.zeros(width - 1), np.zeros(2)  # sums of the steps from column to column
    for start in range(0, height, _STRIP):  # as float64 the whole of a large image would take gigabytes
        strip = luminance(pixels[max(start - 1, 0) : start + _STRIP] / 255.0)
        steps_down, steps_right = np.abs(np.diff(strip, axis=0)), np.abs(np.diff(strip[min(start, 1) :], axis=1))
        down.append(steps_down.mean(axis=1))
        right = np.concatenate([right[None], steps_right]).sum(axis=0)
        n_flat += [np.count_nonzero(steps < 1e-6) for steps in (steps_down, steps_right)]
    parts = []
    sizes = (height - 1) * width, height * (width - 1)
    for steps, flat, size in zip((np.concatenate(down), right / height), n_flat, sizes, strict=True):
        phases = np.array([steps[phase::8].mean() for phase in range(8)])
        parts.append(np.log((phases[7] + 1e-4) / (np.median(phases) + 1e-4)))
        parts.append(np.sqrt(flat / size))
    return np.array(parts)


def _group_means(values: Array, group: NDArray[np.int64], n_groups: int) -> Array:
    counts = np.bincount(group.ravel(), minlength=n_groups)
    sums = np.bincount(group.ravel(), weights=values.ravel(), minlength=n_groups)
    return np.asarray(sums / np.maximum(counts, 1))


def _log_histogram(values: Array, low: float, high: float, n_bins: int) -> Array:
    """Square roots of the shares of values in bins of equal ratio; the first and last bin take what lies beyond."""
    scaled = (np.log(np.maximum(values, low)) - np.log(low)) / (np.log(high) - np.log(low)) * n_bins
    bins = np.clip(scaled.astype(np.int64), 0, n_bins - 1)
    return np.sqrt(np.bincount(bins.ravel(), minlength=n_bins) / values.size)
