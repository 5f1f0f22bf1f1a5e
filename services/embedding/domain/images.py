"""What an image is inside the product: 8-bit pixels and the little that may be known of them; how grey levels become 8 bits.

Knows no file format. Nothing here holds an identifier: patients and sessions are keyed hashes (`domain.identity`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.embedding.domain.depth import Depth, DepthForm
from shared import limits
from shared.errors import InvalidArgument
from shared.rows.images import Window

#: Shortest side of an image whose quality can be told, in pixels.
SHORTEST_SIDE = 16
#: How many times as long as the other a side may be.
MOST_ELONGATED = 1000
#: Largest image, in pixels; checked before anything is decoded.
MOST_PIXELS = limits.MOST_PIXELS
#: So many images are taken of one file at most; together they have no more pixels than the largest image.
MOST_IMAGES_A_FILE = 32
#: So many slices are taken of a volume where no setting says otherwise.
SLICES = 3
#: Largest image file, in bytes, as it lies there and without compression (a deflated DICOM file, a volume of NIfTI).
MOST_BYTES = 256 * 1024 * 1024
#: An image with a smaller share of finite pixels shows nothing; masked maps have some background that is no number.
LEAST_FINITE_SHARE = 0.5
#: Grey levels that are mapped at once: 8 MB of float64, where the whole image may take half a GB.
_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class DecodedImage:
    """An image as it is stored.

    Attributes:
        pixels: uint8, (h, w) grey or (h, w, 3) RGB.
        window: How deeper grey levels were mapped; None where the file had 8 bits.
        modality: One of `MODALITIES`; "unknown" where the file names another one, "" where it names none.
        patient, session: Keyed hashes; "" where the file names none.
        part: Which image of its file, as `#frame-0007`, counted from 1; "" where the file holds one.
        note: A remark for the report: how many others of the file were left out, or what of it was not heeded; "" for none.
        origin: The same for all images of a file that holds several, a digest of its pixels; "" where it holds one.
        depth: The grey levels, where the file has more than 8 bits of them.
    """

    pixels: NDArray[np.uint8]
    window: Window | None = None
    modality: str = ""
    patient: str = ""
    session: str = ""
    part: str = ""
    note: str = ""
    origin: str = ""
    depth: Depth | None = None


@dataclass(frozen=True)
class Quarantined:
    """A readable file, or one image of it, that is not let in: its pixels may name a patient, or show nothing.

    Attributes:
        reason, remedy: Why, and what can be done about it.
        part: As in `DecodedImage`.
    """

    reason: str
    remedy: str
    part: str = ""


@dataclass(frozen=True)
class StoredForm:
    """All that is kept of an image, and all that leaves the process which read its file.

    Attributes:
        png: The pixels as the PNG that is stored.
        width, height: Pixels.
        phash: 64-bit perceptual hash, 16 hex digits.
        structure: Hash of coarse structure, 104 hex digits (`domain.structure`).
        window, modality, patient, session, part, note, origin: As in `DecodedImage`.
        depth: The grey levels, where the file has more than 8 bits of them and they are kept.
    """

    png: bytes
    width: int
    height: int
    phash: str
    structure: str
    window: Window | None
    modality: str
    patient: str
    session: str
    part: str = ""
    note: str = ""
    origin: str = ""
    depth: DepthForm | None = None


def spread_out(n: int, width: int, height: int) -> list[int]:
    """Which of the n images of a file are taken: all, or evenly spaced ones, the middle of each of as many equal parts.

    Args:
        n: 1 or more.
        width, height: Of each, in pixels, within `MOST_PIXELS`.

    Returns: Indices from 0, ascending; at most `MOST_IMAGES_A_FILE`, and no more than have `MOST_PIXELS` together.
    """
    n_taken = min(n, MOST_IMAGES_A_FILE, MOST_PIXELS // (width * height))
    return [(2 * i + 1) * n // (2 * n_taken) for i in range(n_taken)]


def origin_of(pixels: bytes | memoryview) -> str:
    """What the images of one file have in common: a digest of its pixels as they are stored there, 64 hex digits."""
    return hashlib.sha256(pixels).hexdigest()


def index_of(part: str, kind: str, n: int) -> int:
    """Which image of a file its part names, from 0.

    Args:
        part: As `#frame-0007`.
        kind: What the file holds, `frame` or `slice`.
        n: How many it holds; 0 where it holds one image, which has no part.

    Raises:
        InvalidArgument: It holds no such part.
    """
    named, _, number = part.removeprefix("#").partition("-")
    if named != kind or not 1 <= int(number) <= n:
        remedy = f"Name one of its {n}, as #{kind}-0001 for the first." if n else "Name the file without a part."
        raise InvalidArgument("The file does not hold the part that is named.", remedy=remedy)
    return int(number) - 1


def drop_equal_channels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB whose three channels are the same becomes grey, so that one picture has one id however it was saved."""
    # A channel at a time: along an axis of three numpy is slow, and it would take an array as large as the image.
    if pixels.ndim == 3 and all((pixels[..., 0] == pixels[..., i]).all() for i in (1, 2)):
        return np.ascontiguousarray(pixels[..., 0])
    return pixels


def stretch_min_max(
    values: NDArray[np.float64], is_content: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.uint8], Window]:
    """Map the smallest value to 0 and the largest to 255.

    Args:
        values: Grey levels, any shape; not finite ones become black.
        is_content: Which pixels decide the range (padding does not); all where None. The others are clipped.

    Returns: The grey levels, all 0 where every value is the same, and the range as a window.

    Raises:
        InvalidArgument: no finite value decides.
    """
    low, high = range_of(values, is_content)
    return stretch_between(values, low, high), Window("minmax", (low + high) / 2, high - low)


def range_of(values: NDArray[np.float64], is_content: NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """The smallest and the largest finite value; arguments and errors as of `stretch_min_max`."""
    decides = np.isfinite(values) if is_content is None else np.isfinite(values) & is_content
    if not decides.any():
        raise InvalidArgument("The image holds no number.", remedy="Export it again.")
    low = float(values.min(where=decides, initial=np.inf))
    high = float(values.max(where=decides, initial=-np.inf))
    return low, high


def stretch_between(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map `low` and what is below, and what is no number, to 0, and `high` and what is above to 255."""

    def stretch(part: NDArray[np.float64]) -> NDArray[np.float64]:
        return (np.nan_to_num(part, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-12)

    return map_levels(values, stretch)


def map_levels(
    values: NDArray[Any], function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.uint8]:
    """Grey levels by a function of each pixel alone, a part after the other, so that no large array stands beside the image.

    Args:
        values: Any shape, any number type.
        function: Float64 values to levels of 0..1, clipped here.

    Returns: The same shape, 0..255.
    """
    flat = np.ascontiguousarray(values).reshape(-1)
    levels = np.empty(flat.shape, dtype=np.uint8)
    for start in range(0, len(flat), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        levels[part] = to_bytes(function(flat[part].astype(np.float64)))
    return levels.reshape(values.shape)


def apply_window(values: NDArray[np.float64], window: Window) -> NDArray[np.uint8]:
    """The VOI window of DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3, with output 0..255.

    Args:
        values: Grey levels after rescale, any shape.
        window: "linear" (width >= 1), "linear_exact" or "sigmoid" (width > 0), with center and width.

    Raises:
        InvalidArgument: another function, or too small a width.
    """
    center, width = window.center, window.width
    least = 1.0 if window.function == "linear" else 0.0
    if center is None or width is None or width < least or width == 0:
        raise InvalidArgument("This is not a window.", field="width", value=width, remedy="Use a width of 1 or more.")
    if window.function == "linear":
        return map_levels(values, lambda part: (part - (center - 0.5)) / max(width - 1.0, 1e-12) + 0.5)
    if window.function == "linear_exact":
        return map_levels(values, lambda part: (part - center) / width + 0.5)
    if window.function == "sigmoid":
        return map_levels(values, lambda part: 1.0 / (1.0 + np.exp(np.clip(-4.0 * (part - center) / width, -700, 700))))
    remedy = "Use linear, linear_exact or sigmoid"
    raise InvalidArgument("There is no such window.", field="function", value=window.function, remedy=remedy)


def to_bytes(scaled: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Levels of 0..1, clipped, as 0..255, rounded to the nearest."""
    return np.rint(np.clip(scaled, 0.0, 1.0) * 255.0).astype(np.uint8)


def check_size(pixels: NDArray[np.uint8]) -> None:
    """Refuse an image too small or too thin to judge.

    Raises:
        InvalidArgument: A side below `SHORTEST_SIDE`, or one more than `MOST_ELONGATED` times as long as the other.
    """
    shortest, longest = sorted(pixels.shape[:2])
    if shortest < SHORTEST_SIDE:
        remedy = f"Use {SHORTEST_SIDE} pixels a side or more."
        raise InvalidArgument("The image is too small.", value=pixels.shape[:2], remedy=remedy)
    if longest > MOST_ELONGATED * shortest:
        remedy = f"One side may be {MOST_ELONGATED} times as long as the other."
        raise InvalidArgument("The image is too long and thin.", value=pixels.shape[:2], remedy=remedy)


def require_few_pixels(width: int, height: int) -> None:
    """Refuse an image by the size that its file states, before it is decoded.

    Raises:
        InvalidArgument: No pixel, or more than `MOST_PIXELS`.
    """
    if width < 1 or height < 1:
        raise InvalidArgument("The image has no pixels.", remedy="Export it again.")
    if width * height > MOST_PIXELS:
        raise too_large()


def too_large() -> InvalidArgument:
    """The error for an image of more than `MOST_PIXELS`."""
    remedy = f"Reduce it to {MOST_PIXELS // 1_000_000} million pixels, or cut it into tiles."
    return InvalidArgument("The image is too large.", remedy=remedy)


def reason_of_emptiness(pixels: NDArray[np.uint8]) -> str:
    """Why the pixels, (h, w) or (h, w, 3), show nothing; "" where they show something."""
    channels = np.moveaxis(np.atleast_3d(pixels), 2, 0)
    is_blank = all(channel.min() == channel.max() for channel in channels)
    return "The image is blank: all its pixels are alike as they are shown." if is_blank else ""


def reason_of_gaps(values: NDArray[np.float64]) -> str:
    """Why too few of the values are numbers; "" where enough are (the others are shown as black, +infinity as white)."""
    n_finite = np.count_nonzero(np.isfinite(values))
    if n_finite >= LEAST_FINITE_SHARE * values.size:
        return ""
    return "More than half of the image's pixels are no numbers." if n_finite else "The image holds no number."
