"""Grey levels of DICOM frames as a display shows them: rescale, then VOI table or window (PS3.4 N.2), each frame by its own.

A frame has the rescale and the window that its functional groups state (PS3.3 C.7.6.16), else those of the file. Frames without
a usable window share one range, from their smallest value to their largest, padding left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_modality_lut, apply_voi
from pydicom.uid import CTImageStorage

from services.embedding.adapters.dicom_header import white_of
from services.embedding.domain.depth import Depth, to_depth
from services.embedding.domain.images import apply_window, map_levels, range_of, stretch_between
from shared.errors import InvalidArgument
from shared.rows.images import Window, WindowFunction

_WINDOWS: dict[str, WindowFunction] = {"LINEAR": "linear", "LINEAR_EXACT": "linear_exact", "SIGMOID": "sigmoid"}
#: Which elements a functional group states, by its macro (PS3.3 C.7.6.16.2.9 and C.7.6.16.2.10).
_MACROS = {
    "PixelValueTransformationSequence": ("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    "FrameVOILUTSequence": ("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
}
_Values = NDArray[np.float64]


def grey_levels(
    dataset: pydicom.Dataset, stored: NDArray[Any], taken: Sequence[int]
) -> tuple[NDArray[np.uint8], list[Window], list[Depth | None]]:
    """Map the stored values of frames to 0..255, and keep those of more than 8 bits as they are.

    Args:
        dataset: The file, of one sample a pixel.
        stored: Values of the frames that are taken, (n, rows, columns).
        taken: Their indices in the file, from 0.

    Returns: The levels, of the same shape, the window of each frame, and its depth; None where it has 8 bits or less.

    Raises:
        InvalidArgument: A rescale that gives no numbers, or a table that cannot be used.
    """
    described = [described_frame(dataset, index) for index in taken]
    values = [_rescaled(one, frame) for one, frame in zip(described, stored, strict=True)]
    windows = [_window_of(one) for one in described]
    windowless = [at for at, window in enumerate(windows) if window is None]
    low, high = _common_range(dataset, stored, values, windowless) if windowless else (0.0, 0.0)
    own_range = Window("minmax", (low + high) / 2, high - low)
    levels = np.empty(stored.shape, np.uint8)
    for at, window in enumerate(windows):
        if window is None:
            levels[at] = stretch_between(values[at], low, high)
        else:
            levels[at] = _shown(described[at], values[at], window)
    is_deep = int(dataset.BitsStored) > 8
    depths = [_depth(dataset, *frame) if is_deep else None for frame in zip(described, stored, values, strict=True)]
    return levels, [window or own_range for window in windows], depths


def _depth(dataset: pydicom.Dataset, described: pydicom.Dataset, frame: NDArray[Any], values: _Values) -> Depth | None:
    """The depth of a frame; a table of rescale leaves nothing to tell it by but its values."""
    is_inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    if described.get("ModalityLUTSequence"):
        return to_depth(values, is_inverted=is_inverted)
    if "RescaleSlope" not in described or "RescaleIntercept" not in described:
        return to_depth(frame, is_inverted=is_inverted)
    slope, intercept = float(described.RescaleSlope), float(described.RescaleIntercept)
    return to_depth(frame, slope, intercept, is_inverted=is_inverted, unit=_unit(dataset, described))


def _unit(dataset: pydicom.Dataset, described: pydicom.Dataset) -> str:
    """HU where the rescale is of that type: a CT image need not say so (PS3.3 C.8.2.1.1). Other types are texts of the file."""
    kind = str(described.get("RescaleType", None) or "")
    is_of_ct = dataset.get("SOPClassUID", None) == CTImageStorage
    return "HU" if kind == "HU" or (is_of_ct and not kind) else ""


def described_frame(dataset: pydicom.Dataset, index: int) -> pydicom.Dataset:
    """What the file says of the grey levels of a frame, as a file of this frame alone would have it.

    Of each macro the frame's own group counts, else the shared one, else the elements of the file itself.
    """
    described = pydicom.Dataset()
    described.file_meta = dataset.file_meta  # has the byte order of tables
    for macro, names in _MACROS.items():
        source = _group(dataset, index, macro) or dataset
        for name in names:
            if name in source:
                described.add(source[name])
    return described


def _group(dataset: pydicom.Dataset, index: int, macro: str) -> pydicom.Dataset | None:
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    single = (dataset.get("PerFrameFunctionalGroupsSequence") or [])[index : index + 1]
    items = [item for group in (*single, *shared) for item in (group.get(macro) or [])[:1]]
    return items[0] if items else None


def _rescaled(described: pydicom.Dataset, frame: NDArray[Any]) -> _Values:
    with np.errstate(over="ignore", invalid="ignore"):  # a rescale may be any text that reads as a number
        values = np.asarray(apply_modality_lut(frame, described), dtype=np.float64)
        spread = np.ptp(values)
    if not np.isfinite(spread):
        raise InvalidArgument(
            "The rescale of the DICOM file gives no numbers.", remedy="Correct its slope and intercept."
        )
    return values


def _window_of(described: pydicom.Dataset) -> Window | None:
    """A table goes before a window."""
    return Window("lut") if described.get("VOILUTSequence") else declared_window(described)


def declared_window(described: pydicom.Dataset) -> Window | None:
    """The first window that is declared; None where none is that can be applied."""
    center, width = described.get("WindowCenter", None), described.get("WindowWidth", None)
    if center in (None, "") or width in (None, ""):
        return None
    center, width = (value if isinstance(value, float | int) else value[0] for value in (center, width))
    function = _WINDOWS.get(str(described.get("VOILUTFunction", None) or "LINEAR").upper())
    is_usable = math.isfinite(center) and math.isfinite(width) and float(width) >= 1.0
    return Window(function, float(center), float(width)) if function and is_usable else None


def _shown(described: pydicom.Dataset, values: _Values, window: Window) -> NDArray[np.uint8]:
    if window.function != "lut":
        return apply_window(values, window)
    white = white_of(described.VOILUTSequence[0].LUTDescriptor)
    return map_levels(apply_voi(values.astype(np.int64), described), lambda part: part / white)


def _common_range(
    dataset: pydicom.Dataset, stored: NDArray[Any], values: Sequence[_Values], frames: Sequence[int]
) -> tuple[float, float]:
    """The smallest and the largest value of frames; padding counts only where there is nothing else."""
    padding = dataset.get("PixelPaddingValue", None)
    contents = [(values[at], None if padding is None else stored[at] != padding) for at in frames]
    pictured = [(one, content) for one, content in contents if content is None or content.any()]
    ranges = [range_of(one, content) for one, content in pictured or [(one, None) for one, _ in contents]]
    return min(low for low, _ in ranges), max(high for _, high in ranges)
