"""NIfTI volumes with nibabel: central slices of the first volume as a viewer shows them, and nothing of the header's texts.

Axes are brought nearest to RAS+ (x to the patient's right, y to the front, z up), as `nibabel.as_closest_canonical` does. The
slices stand across the axis with the largest spacing (of equal ones the last; of a volume of one slice, that one). On the
picture the first of the other axes runs to the right and the second upwards. One window serves the file: from the 0.5th to the
99.5th percentile of the finite values of the volume, or its whole range where these two are the same.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from dataclasses import replace
from typing import Any

import nibabel
import numpy as np
from nibabel import affines, orientations
from numpy.typing import NDArray

from services.embedding.domain.depth import to_depth
from services.embedding.domain.images import (
    MOST_BYTES,
    MOST_PIXELS,
    DecodedImage,
    Quarantined,
    drop_equal_channels,
    index_of,
    origin_of,
    reason_of_gaps,
    require_few_pixels,
    stretch_between,
)
from shared.errors import InvalidArgument, MedqError
from shared.rows.images import Window, WindowFunction

_GZIP = b"\x1f\x8b"
_HEADERS = {b"n+1\0": nibabel.Nifti1Header, b"n+2\0": nibabel.Nifti2Header}
_PAIRS = (b"ni1\0", b"ni2\0")
_HEAD_BYTES = 540  # of NIfTI-2, the longer one
_PERCENTILES = (0.5, 99.5)
_SAME = 3  # decimals of a spacing in mm: what differs less is the same
_RGB = ("R", "G", "B")
_Slices = list[DecodedImage | Quarantined]


def magic_of(data: bytes) -> bytes:
    """The four bytes by which a file, or what it holds compressed, is known as NIfTI; b"" where it is none."""
    try:
        head = _begin(data, _HEAD_BYTES)
    except (OSError, EOFError, zlib.error):
        return b""
    found = (head[344:348], head[4:8])
    return next((magic for magic in found if magic in _HEADERS or magic in _PAIRS), b"")


def decode_nifti(data: bytes, n_slices: int, part: str = "") -> _Slices:
    """Read the central slices of the first volume of a file, compressed or not.

    Args:
        data: The file, which `magic_of` knows.
        n_slices: How many, at most; fewer where there are fewer, or where they have more than `MOST_PIXELS` together.
        part: The slice that is meant, as `#slice-0042`; "" for those that are taken of a file as a whole.

    Raises:
        InvalidArgument: Damaged, cut short, too large, of complex numbers, or without its pixels or the part. The text
            never holds a value of the header.
    """
    try:
        return _decode(data, n_slices, part)
    except (MedqError, MemoryError):  # memory is no fault of the file alone: whoever set the limit says so
        raise
    except Exception as error:  # a broken file may raise nearly anything in a decoder
        raise InvalidArgument("The NIfTI file is damaged or cut short.", remedy="Copy or export it again.") from error


def _begin(data: bytes, n_bytes: int) -> bytes:
    """The first bytes of the file; a compressed one is inflated so far and no further."""
    return gzip.GzipFile(fileobj=io.BytesIO(data)).read(n_bytes) if data.startswith(_GZIP) else data[:n_bytes]


def _decode(data: bytes, n_slices: int, part: str) -> _Slices:
    magic = magic_of(data)
    if magic in _PAIRS:
        raise InvalidArgument(
            "The NIfTI file is a header whose pixels are in another file.", remedy="Save both as one .nii file."
        )
    kind: Any = _HEADERS[magic]
    header = kind(_begin(data, kind.template_dtype.itemsize))
    whole = header.get_data_shape()
    shape = (*whole, 1)[:3] if len(whole) >= 2 and min(whole) >= 1 else (0, 0, 0)
    volume = _first_volume(data, header, shape)
    order = _orientation(header)
    canonical = orientations.apply_orientation(volume, order)
    spacing = np.empty(3)
    spacing[order[:, 0].astype(int)] = affines.voxel_sizes(header.get_best_affine())
    axis = _axis(canonical.shape, spacing)
    n_there, n_volumes = canonical.shape[axis], math.prod(whole[3:])
    width, height = (side for at, side in enumerate(canonical.shape) if at != axis)
    require_few_pixels(width, height)
    is_one = n_there * n_volumes == 1
    n_taken = 1 if part else min(n_slices, n_there, MOST_PIXELS // (width * height))
    first = index_of(part, "slice", 0 if is_one else n_there) if part else (n_there - n_taken) // 2
    note = f"{n_taken} of the {n_there} slices were taken, the central ones" if n_taken < n_there and not part else ""
    if n_volumes > 1:
        note = "; ".join(filter(None, (note, f"the first of {n_volumes} volumes was taken")))
    parts = {
        "" if is_one else f"#slice-{at + 1:04d}": np.rot90(np.take(canonical, at, axis))
        for at in range(first, first + n_taken)
    }
    origin = "" if is_one else origin_of(volume.reshape(-1, order="F").view(np.uint8).data)
    shown = _shown(volume, parts, header.get_slope_inter(), note)
    return [replace(one, origin=origin) if isinstance(one, DecodedImage) else one for one in shown]


def _first_volume(data: bytes, header: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """The stored values, (x, y, z) as in the file; sizes and type are checked before anything is inflated."""
    dtype, offset = header.get_data_dtype(), header.get_data_offset()
    if dtype.kind == "c":
        raise InvalidArgument("The NIfTI file holds complex numbers.", remedy="Save their magnitude.")
    if dtype.names != _RGB and (dtype.kind not in "iuf" or dtype.itemsize > 8):
        raise InvalidArgument(
            "The numbers of the NIfTI file are of a kind that is not read here.",
            remedy="Save whole numbers or 32-bit floating point, or colours as RGB24.",
        )
    if min(shape) < 1 or offset < 0:
        raise InvalidArgument("The NIfTI file holds no picture.", remedy="Leave it out, or export it again.")
    n_bytes = math.prod(shape) * dtype.itemsize
    if offset + n_bytes > MOST_BYTES:
        remedy = f"Keep a volume below {MOST_BYTES >> 20} MiB: save 16-bit whole numbers, or cut it."
        raise InvalidArgument("The volume of the NIfTI file is too large.", remedy=remedy)
    begun = _begin(data, offset + n_bytes)
    return np.frombuffer(begun, dtype, math.prod(shape), offset).reshape(shape, order="F")


def _orientation(header: Any) -> NDArray[np.float64]:
    affine = header.get_best_affine()
    order = orientations.io_orientation(affine) if np.isfinite(affine).all() else np.full((3, 2), np.nan)
    if np.isnan(order).any():
        raise InvalidArgument(
            "The NIfTI file does not say how its axes lie.", remedy="Correct its sform or qform, and save it again."
        )
    return np.asarray(order)


def _axis(shape: tuple[int, ...], spacing: NDArray[np.float64]) -> int:
    """Across which axis the slices stand."""
    return max(range(3), key=lambda axis: (shape[axis] == 1, round(float(spacing[axis]), _SAME), axis))


def _shown(
    volume: NDArray[Any], parts: dict[str, NDArray[Any]], scale: tuple[float | None, float | None], note: str
) -> _Slices:
    if volume.dtype.names:
        return [
            DecodedImage(drop_equal_channels(np.stack([values[name] for name in _RGB], axis=-1)), part=part, note=note)
            for part, values in parts.items()
        ]
    slope, intercept = (1.0, 0.0) if scale[0] is None or scale[1] is None else (scale[0], scale[1])
    finite = volume[np.isfinite(volume)] if volume.dtype.kind == "f" else volume
    remedy = "Write numbers where the picture is, and save it again."
    if not finite.size:
        return [Quarantined(reason_of_gaps(np.array([np.nan])), remedy)]
    low, high, window = _window(finite, slope, intercept)
    shown: _Slices = []
    for part, stored in parts.items():
        with np.errstate(over="ignore", invalid="ignore"):
            values = stored.astype(np.float64) * slope + intercept
        if reason := reason_of_gaps(values):
            shown.append(Quarantined(reason, remedy, part))
        else:
            depth = to_depth(stored, slope, intercept) if stored.dtype.itemsize > 1 else None
            shown.append(DecodedImage(stretch_between(values, low, high), window, part=part, note=note, depth=depth))
    return shown


def _window(finite: NDArray[Any], slope: float, intercept: float) -> tuple[float, float, Window]:
    """Which values become 0 and 255, and the same as a window."""
    function: WindowFunction = "linear_exact"
    stored = np.percentile(finite, _PERCENTILES, method="nearest")
    if stored[0] == stored[1]:
        function, stored = "minmax", np.array([finite.min(), finite.max()])
    low, high = sorted(float(value) * slope + intercept for value in stored)
    if not math.isfinite(high - low):
        raise InvalidArgument(
            "The scale of the NIfTI file gives no numbers.", remedy="Correct its slope and intercept."
        )
    return low, high, Window(function, (low + high) / 2, high - low)
