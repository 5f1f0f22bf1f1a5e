"""Grey of more than 8 bits as it is kept beside the 8-bit picture: levels of 16 bits in equal steps, and what each is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.rows.images import Window

#: The highest level.
WHITE = 65535
#: Pixels that are mapped at once: 8 MB of float64, where the whole image may take half a GB.
_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Depth:
    """The grey levels of an image, which its 8-bit form shows through a window.

    Attributes:
        levels: uint16, (h, w).
        low: The value of level 0, in the values of the file after rescale.
        step: What each level adds to it, above 0.
        is_inverted: The file shows its lowest value white (MONOCHROME1), and so does the 8-bit form.
        unit: "HU" where the file says so; "" where none is known.
    """

    levels: NDArray[np.uint16]
    low: float
    step: float
    is_inverted: bool = False
    unit: str = ""


@dataclass(frozen=True)
class DepthForm:
    """All that is kept of a `Depth`, and all that leaves the process which read the file.

    Attributes:
        png: The levels as a PNG of 16-bit grey.
        low, step, is_inverted, unit: As in `Depth`.
        window: How the levels became the 8-bit form; None where the file says nothing of it.
    """

    png: bytes
    low: float
    step: float
    is_inverted: bool
    unit: str
    window: Window | None


def to_depth(
    stored: NDArray[Any], slope: float = 1.0, intercept: float = 0.0, *, is_inverted: bool = False, unit: str = ""
) -> Depth | None:
    """Spread the values `slope * stored + intercept` over the levels, the smallest at 0; `values_of` gives them back.

    Whole numbers of which the range has 65,536 at most have a level each: `step` is the slope without its sign, and the largest
    error is that of float64, none where slope and intercept are whole. Others go to the nearest level of
    `step = range / 65535`: the largest error is half a step. What is no number, and -infinity, becomes level 0, and +infinity
    the highest level that is used.

    Args:
        stored: (h, w), whole numbers or floating point, at least one of them finite.
        slope, intercept: The rescale of the file.
        is_inverted, unit: As in `Depth`.

    Returns: The levels; None where such a rescale gives no range of finite values.
    """
    low, high = _range_of(stored)
    # Of large whole numbers float64 knows no difference.
    span = float(high) - float(low) if stored.dtype.kind == "f" else int(high) - int(low)
    is_exact = span == 0 or (span <= WHITE and _are_whole(stored))
    unit_step = 1.0 if is_exact else float(high) / WHITE - float(low) / WHITE  # the range itself may be no float
    darkest, brightest = (low, high) if slope > 0 else (high, low)
    least, most, step = (
        float(darkest) * slope + intercept,
        float(brightest) * slope + intercept,
        abs(slope) * unit_step,
    )
    if not (math.isfinite(least) and math.isfinite(most) and 0 < step < math.inf):
        return None
    top = round(span) if is_exact else WHITE
    flat, levels = np.ascontiguousarray(stored).reshape(-1), np.empty(stored.size, np.uint16)
    for start in range(0, len(flat), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        if is_exact and stored.dtype.kind in "iu":
            above = flat[part].astype(np.int64) - darkest.astype(np.int64)  # right modulo 2**64, and it is small
            levels[part] = above if slope > 0 else -above
        else:
            above = flat[part].astype(np.float64) / unit_step - float(darkest) / unit_step
            shown = np.nan_to_num(above if slope > 0 else -above, nan=0.0, posinf=top, neginf=0.0)
            levels[part] = np.clip(np.rint(shown), 0, top)
    return Depth(levels.reshape(stored.shape), least, step, is_inverted, unit)


def values_of(levels: NDArray[np.uint16], low: float, step: float) -> NDArray[np.float64]:
    """The values that levels stand for: the inverse of `to_depth`, of the same shape."""
    return low + step * levels.astype(np.float64)


def _range_of(stored: NDArray[Any]) -> tuple[Any, Any]:
    """The smallest and the largest finite number."""
    if stored.dtype.kind != "f":
        return stored.min(), stored.max()
    finite = np.isfinite(stored)
    return stored.min(where=finite, initial=np.inf), stored.max(where=finite, initial=-np.inf)


def _are_whole(stored: NDArray[Any]) -> bool:
    """Whether the finite ones are whole numbers."""
    if stored.dtype.kind != "f":
        return True
    flat = np.ascontiguousarray(stored).reshape(-1)
    parts = (flat[start : start + _AT_ONCE] for start in range(0, len(flat), _AT_ONCE))
    return all(bool((np.rint(part) == part)[np.isfinite(part)].all()) for part in parts)
