"""What an image is inside the product: 8-bit pixels and the little that may be known of them; how grey levels become 8 bits.

Knows no file format. Nothing here holds an identifier: patients and sessions are keyed hashes (`domain.identity`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgument
from shared.rows.images import Window
from shared.rows.vocabulary import UNKNOWN

#: Shortest side of an image whose quality can be told, in pixels.
SHORTEST_SIDE = 16


@dataclass(frozen=True)
class DecodedImage:
    """An image as it is stored.

    Attributes:
        pixels: uint8, (h, w) grey or (h, w, 3) RGB.
        window: How deeper grey levels were mapped; None where the file had 8 bits.
        modality: One of `MODALITIES`, or "unknown".
        patient, session: Keyed hashes; "" where the file names none.
    """

    pixels: NDArray[np.uint8]
    window: Window | None = None
    modality: str = UNKNOWN
    patient: str = ""
    session: str = ""


@dataclass(frozen=True)
class Quarantined:
    """A readable file that is not let in, because its pixels may name a patient."""

    reason: str
    remedy: str


def drop_equal_channels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB whose three channels are the same becomes grey, so that one picture has one id however it was saved."""
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
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
    decides = np.isfinite(values) if is_content is None else np.isfinite(values) & is_content
    if not decides.any():
        raise InvalidArgument("The image holds no number.", remedy="Export it again.")
    low, high = float(values[decides].min()), float(values[decides].max())
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-12)
    return to_bytes(scaled), Window("minmax", (low + high) / 2, high - low)


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
        scaled = (values - (center - 0.5)) / max(width - 1.0, 1e-12) + 0.5
    elif window.function == "linear_exact":
        scaled = (values - center) / width + 0.5
    elif window.function == "sigmoid":
        scaled = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0)))
    else:
        remedy = "Use linear, linear_exact or sigmoid"
        raise InvalidArgument("There is no such window.", field="function", value=window.function, remedy=remedy)
    return to_bytes(scaled)


def to_bytes(scaled: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Levels of 0..1, clipped, as 0..255, rounded to the nearest."""
    return np.rint(np.clip(scaled, 0.0, 1.0) * 255.0).astype(np.uint8)


def check_size(pixels: NDArray[np.uint8]) -> None:
    """Refuse an image too small to judge.

    Raises:
        InvalidArgument: a side below `SHORTEST_SIDE`.
    """
    if min(pixels.shape[:2]) < SHORTEST_SIDE:
        remedy = f"Use {SHORTEST_SIDE} pixels a side or more."
        raise InvalidArgument("The image is too small.", value=pixels.shape[:2], remedy=remedy)
