"""Whether letters are drawn over an image: names, dates and numbers that consoles burn into their pictures.

No text is read. Letters are thin strokes of one brightness, as tall as their neighbours and on one line with them, with quiet
above and below. Lines of such strokes are looked for at several brightnesses and sizes, in light and dark, and each is weighed
by a logistic regression over a few properties (`_WEIGHTS`, fitted by `python -m studies.burned_in_text --fit`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.special import expit

QUARANTINE_FROM = 0.5
"""An image of this doubt or more does not leave the site."""

_STEPS = (14.0, 26.0, 45.0, 75.0, 120.0)  # brightness over the surroundings from which a pixel is part of a stroke
_WINDOW = 9  # pixels; strokes are thinner
_LOW, _HIGH = 5, 26  # heights of letters at one scale, in pixels
_MOST_PARTS = 6000  # more than any page of letters: texture
_MOST_SCALES = 3
_LONGEST_SIDE = 2048  # pixels; a larger picture is halved until it is no longer, before anything is looked for
_FEWEST = 3  # parts that make a line

#: Of the properties of a line, in their order, and the constant: `python -m studies.burned_in_text --fit`.
_WEIGHTS = np.array(
    [
        -1.46,
        2.901,
        -6.097,
        -5.465,
        -7.214,
        2.376,
        0.127,
        2.009,
        -4.454,
        6.433,
        -0.874,
        -0.235,
        4.084,
        0.234,
        0.036,
        -7.442,
    ]
)

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Line:
    """A row of strokes: where it is (top, left, bottom, right, in pixels of the image) and its properties."""

    box: tuple[float, float, float, float]
    properties: NDArray[np.float64]


@dataclass(frozen=True)
class _Parts:
    """Connected strokes, each a row: edges of their boxes (the far ones excluded), pixels, peak brightness, holes."""

    top: NDArray[np.int64]
    left: NDArray[np.int64]
    bottom: NDArray[np.int64]
    right: NDArray[np.int64]
    area: NDArray[np.int64]
    peak: NDArray[np.float64]
    steep: NDArray[np.float64]

    @property
    def height(self) -> NDArray[np.int64]:
        return self.bottom - self.top

    @property
    def width(self) -> NDArray[np.int64]:
        return self.right - self.left


def find_lines(pixels: NDArray[np.uint8]) -> Iterator[Line]:
    """Rows of strokes that may be text."""
    for plane in _planes(pixels):
        first = 0
        while max(plane.shape) > _LONGEST_SIDE and min(plane.shape) >= 4 * _LOW:
            plane, first = _half(plane), first + 1
        for scale in range(first, first + _MOST_SCALES):
            if min(plane.shape) < 2 * _LOW:
                break
            for sign in (1.0, -1.0):
                yield from _lines_at(sign * plane, 2**scale)
            plane = _half(plane)


def _planes(pixels: NDArray[np.uint8]) -> Iterator[Plane]:
    """Brightness; of colours also the least channel and the chroma, of which letters in white, grey or black have none."""
    yield pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    if (pixels != pixels[..., :1]).any():
        least = pixels.min(axis=2)
        yield least.astype(np.float32)
        yield (pixels.max(axis=2) - least).astype(np.float32)


def _half(plane: Plane) -> Plane:
    height, width = (size - size % 2 for size in plane.shape)
    return np.asarray(plane[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)), np.float32)


def _lines_at(plane: Plane, scale: int) -> Iterator[Line]:
    raised = plane - ndimage.maximum_filter(ndimage.minimum_filter(plane, _WINDOW), _WINDOW)
    steep = np.hypot(ndimage.sobel(plane, 0), ndimage.sobel(plane, 1)) / 4.0
    for step in _STEPS:
        mask = raised >= step
        parts = _parts(mask, raised, steep)
        if parts is None:
            continue
        weak = raised >= step / 2
        for members in _rows(parts):
            yield _line(parts, members, mask, weak, step, scale)


def _parts(mask: NDArray[np.bool_], raised: Plane, steep: Plane) -> _Parts | None:
    labels, n = ndimage.label(mask, np.ones((3, 3)))
    if not _FEWEST <= n <= _MOST_PARTS:
        return None
    boxes = ndimage.find_objects(labels)
    top, left, bottom, right = (
        np.array([getattr(box[axis], end) for box in boxes])
        for end, axis in (("start", 0), ("start", 1), ("stop", 0), ("stop", 1))
    )
    height, width = bottom - top, right - left
    area = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    keep = (height >= _LOW) & (height <= _HIGH) & (width <= 10 * height)
    keep &= (area >= 0.12 * height * width) & ((width > 0.15 * height) | (area >= 0.6 * height * width))
    if keep.sum() < _FEWEST or keep.sum() > _MOST_PARTS:
        return None
    index = np.flatnonzero(keep) + 1
    inner = _largest(ndimage.distance_transform_cdt(mask, "chessboard"), labels, n)[index]
    slim = inner <= 1.0 + 0.16 * height[keep]
    index = index[slim]
    if len(index) < _FEWEST:
        return None
    peak = _largest(raised, labels, n)[index]
    edge = mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)))
    sharp = ndimage.mean(steep, np.where(edge, labels, 0), index)
    at = index - 1
    return _Parts(top[at], left[at], bottom[at], right[at], area[at], peak, np.asarray(sharp))


def _largest(values: NDArray[Any], labels: NDArray[np.int32], n: int) -> NDArray[np.float64]:
    """The largest value, at least 0, in each of the parts 0..n; `ndimage.maximum` sorts all pixels for it."""
    largest = np.zeros(n + 1)
    inside = labels > 0
    np.maximum.at(largest, labels[inside], values[inside])
    return largest


def _rows(parts: _Parts) -> Iterator[NDArray[np.int64]]:
    """Parts that stand beside each other on one line, three and more."""
    middle = np.stack([(parts.top + parts.bottom) / 2, (parts.left + parts.right) / 2], axis=1)
    ends = np.concatenate([middle, middle])
    ends[: len(middle), 1] = parts.left
    ends[len(middle) :, 1] = parts.right
    tree = cKDTree(ends)
    pairs = tree.query_pairs(1.6 * _HIGH, output_type="ndarray") % len(middle)
    a, b = pairs[:, 0], pairs[:, 1]
    swap = parts.left[a] > parts.left[b]
    a, b = np.where(swap, b, a), np.where(swap, a, b)
    tall = np.maximum(parts.height[a], parts.height[b])
    low = np.minimum(parts.height[a], parts.height[b])
    gap = parts.left[b] - parts.right[a]
    slack = 1.0 + 0.1 * tall
    aligned = (np.abs(parts.bottom[a] - parts.bottom[b]) <= slack) | (np.abs(parts.top[a] - parts.top[b]) <= slack)
    overlap = np.minimum(parts.bottom[a], parts.bottom[b]) - np.maximum(parts.top[a], parts.top[b])
    near = (
        (a != b) & aligned & (low >= 0.6 * tall) & (gap <= 1.3 * tall) & (gap >= -0.3 * tall) & (overlap >= 0.6 * low)
    )
    peaks = np.minimum(parts.peak[a], parts.peak[b]) >= 0.6 * np.maximum(parts.peak[a], parts.peak[b])
    near &= peaks
    n = len(middle)
    graph = coo_array((np.ones(near.sum()), (a[near], b[near])), shape=(n, n))
    count, group = connected_components(graph, directed=False)
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(group, minlength=count))[:-1]):
        if len(members) >= _FEWEST:
            yield members


def _line(
    parts: _Parts, members: NDArray[np.int64], mask: NDArray[np.bool_], weak: NDArray[np.bool_], step: float, scale: int
) -> Line:
    top, bottom = parts.top[members], parts.bottom[members]
    left, right = parts.left[members], parts.right[members]
    height, width = parts.height[members], parts.width[members]
    tall = float(np.median(height))
    upper, lower = int(np.median(top)), int(np.median(bottom))
    begin, end = int(left.min()), int(right.max())
    inside, weakly = mask[upper:lower, begin:end], weak[upper:lower, begin:end]
    margin = max(1, round(0.3 * tall))
    outside = np.concatenate([
        mask[max(0, upper - margin - 1) : max(0, upper - 1), begin:end],
        mask[lower + 1 : lower + 1 + margin, begin:end],
    ])  # fmt: skip
    crossings = (inside[:, 1:] != inside[:, :-1]).sum(axis=1).mean() / 2
    length = (end - begin) / tall
    density = float(inside.mean())
    peak = parts.peak[members]
    ratio = width / tall
    properties = np.array(
        [
            np.log(min(np.maximum(1.0, np.round(ratio / 0.7)).sum(), 30.0)),  # letters
            np.log1p(length),
            np.abs(bottom - lower).mean() / tall,
            np.abs(top - upper).mean() / tall,
            peak.std() / peak.mean(),
            float(np.median(parts.steep[members] / peak)),
            np.log(step),
            density,
            float(outside.mean()) / max(density, 1e-6) if outside.size else 0.0,
            density / max(float(weakly.mean()), 1e-6),
            crossings / length,
            ratio.std(),
            float((parts.area[members] / (height * width)).std()),
            np.log(tall),
            float(np.median(peak)) / 100.0,
        ]
    )
    box = tuple(float(scale * place) for place in (top.min(), begin, bottom.max(), end))
    return Line(box, properties)  # type: ignore[arg-type]


def text_doubt(pixels: NDArray[np.uint8]) -> float:
    """How likely letters are drawn over an image.

    Args:
        pixels: (h, w, 3); grey has three equal channels.

    Returns: 0..1, the largest of all rows of strokes that are found; 0.0 where there is none. Letters are looked for from about 8
        to 100 pixels tall, and from about four of them in a row. A picture whose longest side is above 2048 pixels is halved
        until it is not; letters of less than about a 250th of that side are missed there.
    """
    scores = [float(line.properties @ _WEIGHTS[:-1] + _WEIGHTS[-1]) for line in find_lines(pixels)]
    return float(expit(max(scores))) if scores else 0.0
