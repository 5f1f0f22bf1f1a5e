"""DICOM with pydicom: pixels as a display shows them, keyed hashes of patient and study, no more.

Order of work (PS3.4 N.2): rescale, VOI window or LUT, then MONOCHROME1 inverted. Of a file with several frames, one window
serves all: the file's own, else that of the first frame taken. Without a usable window the range of the pixels is taken
(padding left out). A file whose pixels may hold burned-in text is quarantined. Overlays are not drawn.
"""

from __future__ import annotations

import io
import logging
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pydicom
import pydicom.config
from numpy.typing import NDArray
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array

from services.embedding.adapters.dicom_header import check_header, inflated, white_of
from services.embedding.domain.identity import keyed_hash
from services.embedding.domain.images import (
    DecodedImage,
    Quarantined,
    apply_window,
    drop_equal_channels,
    map_levels,
    stretch_min_max,
)
from shared.errors import InvalidArgument, MedqError
from shared.rows.images import Window, WindowFunction
from shared.rows.vocabulary import UNKNOWN

MAGIC, MAGIC_OFFSET = b"DICM", 128
_WINDOWS: dict[str, WindowFunction] = {"LINEAR": "linear", "LINEAR_EXACT": "linear_exact", "SIGMOID": "sigmoid"}
_MODALITIES = {"CT": "ct", "MR": "mri", "OP": "fundus", "ES": "endoscopy", "SM": "histopathology"}
_GREY_ELEMENTS = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction")
#: Devices that write text into the picture: without the tag they are not trusted.
_WRITING_MODALITIES = frozenset({"US", "IVUS", "SC", "OT"})
_WRITING_CLASSES = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.3")


def decode_dicom(data: bytes, key: bytes) -> list[DecodedImage] | Quarantined:
    """Read a DICOM file, each frame as an image of the same patient and study.

    Args:
        data: The file.
        key: The site's key for the hashes of PatientID and StudyInstanceUID.

    Raises:
        InvalidArgument: damaged, cut short, without pixels, or compressed in a way that cannot be read here. The text
            never holds a value of the header.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(inflated(data)))
        reason = burned_in_reason(dataset)
        if reason:
            remedy = "Check its pixels for text, set BurnedInAnnotation to NO, and ingest it again."
            return Quarantined(reason, remedy)
        n_frames, taken = check_header(dataset)
        several, window = _display(dataset, taken)
        code = str(dataset.get("Modality", None) or "")
        modality = _MODALITIES.get(code, UNKNOWN) if code else ""
        patient = keyed_hash(key, "patient", str(dataset.get("PatientID", None) or ""))
        session = keyed_hash(key, "session", str(dataset.get("StudyInstanceUID", None) or ""))
        parts = [f"#frame-{index + 1:04d}" if n_frames > 1 else "" for index in taken]
        note = f"{len(taken)} of the {n_frames} frames were taken, evenly spaced" if len(taken) < n_frames else ""
        return [
            DecodedImage(drop_equal_channels(pixels), window, modality, patient, session, part, note)
            for part, pixels in zip(parts, several, strict=True)
        ]
    except (MedqError, MemoryError):  # memory is no fault of the file alone: whoever set the limit says so
        raise
    except Exception as error:  # a broken file may raise nearly anything in a decoder
        raise InvalidArgument("The DICOM file is damaged or cut short.", remedy="Copy or export it again.") from error


def burned_in_reason(dataset: pydicom.Dataset) -> str:
    """Why the pixels may name a patient; "" where nothing says so."""
    tags = _values(dataset, "BurnedInAnnotation")
    if "YES" in tags:
        return "The file says that text is burned into its pixels."
    if "YES" in _values(dataset, "RecognizableVisualFeatures"):
        return "The file says that the person can be recognised."
    is_writing = any(
        uid == known or uid.startswith(known + ".")
        for uid in _values(dataset, "SOPClassUID")
        for known in _WRITING_CLASSES
    )
    if tags != {"NO"} and (is_writing or _values(dataset, "Modality") & _WRITING_MODALITIES):
        return "Such devices write text into the picture, and the file does not say that this one did not."
    return ""


def _values(dataset: pydicom.Dataset, name: str) -> set[str]:
    """The values of an element as codes have them; a file may have several where one is meant, or in small letters."""
    value = dataset.get(name, None)
    several = value if isinstance(value, MultiValue) else [value]
    return {str(one or "").strip(" \0").upper() for one in several}


def _display(dataset: pydicom.Dataset, taken: Sequence[int]) -> tuple[NDArray[np.uint8], Window | None]:
    """The frames that are taken, (n, rows, columns) or (n, rows, columns, 3), and their window."""
    stored = _decoded(dataset, taken)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        coloured = apply_color_lut(stored, dataset)
        white = white_of(dataset.RedPaletteColorLookupTableDescriptor)
        return map_levels(coloured[..., :3], lambda part: part / white), None
    if stored.ndim == 4:
        white = 2.0 ** int(dataset.BitsStored) - 1
        return map_levels(stored, lambda part: part / white), None
    levels, window = _grey_levels(dataset, stored, taken)
    return (255 - levels if dataset.PhotometricInterpretation == "MONOCHROME1" else levels), window


def _decoded(dataset: pydicom.Dataset, taken: Sequence[int]) -> NDArray[Any]:
    """The stored values of frames; a frame after the other, so that the others take no memory."""
    first = pixel_array(dataset, index=taken[0])
    if len(taken) == 1:
        return first[None]
    frames = np.empty((len(taken), *first.shape), first.dtype)
    frames[0] = first
    for at, index in enumerate(taken[1:], start=1):
        frames[at] = pixel_array(dataset, index=index)
    return frames


def _grey_levels(
    dataset: pydicom.Dataset, stored: NDArray[Any], taken: Sequence[int]
) -> tuple[NDArray[np.uint8], Window]:
    with np.errstate(over="ignore", invalid="ignore"):  # a rescale may be any text that reads as a number
        values = _rescaled(dataset, stored, taken)
        numbers = np.asarray(values, dtype=np.float64)
        spread = np.ptp(numbers)
    if not np.isfinite(spread):
        raise InvalidArgument(
            "The rescale of the DICOM file gives no numbers.", remedy="Correct its slope and intercept."
        )
    if dataset.get("VOILUTSequence"):
        white = white_of(dataset.VOILUTSequence[0].LUTDescriptor)
        table = apply_voi(values.astype(np.int64), dataset)
        return map_levels(table, lambda part: part / white), Window("lut")
    window = declared_window(described_frame(dataset, taken[0]))
    if window is not None:
        return apply_window(numbers, window), window
    padding = dataset.get("PixelPaddingValue", None)
    is_content = None if padding is None or (stored == padding).all() else stored != padding
    return stretch_min_max(numbers, is_content)


def _rescaled(dataset: pydicom.Dataset, stored: NDArray[Any], taken: Sequence[int]) -> NDArray[Any]:
    """The frames after their rescale, which an enhanced file may state for each."""
    described = [described_frame(dataset, index) for index in taken]
    if all(one is dataset for one in described):
        return np.asarray(apply_modality_lut(stored, dataset))
    values = np.empty(stored.shape, np.float64)
    for at, one in enumerate(described):
        values[at] = apply_modality_lut(stored[at], one)
    return values


def described_frame(dataset: pydicom.Dataset, index: int) -> pydicom.Dataset:
    """Rescale and window of a frame as an enhanced file has them in its functional groups (PS3.3 C.7.6.16), else the file."""
    shared, single = (dataset.get(f"{name}FunctionalGroupsSequence") or [] for name in ("Shared", "PerFrame"))
    found = pydicom.Dataset()
    for group in (*shared[:1], *single[index : index + 1]):
        for macro in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for item in (group.get(macro) or [])[:1]:
                _add_grey(found, item)
    if not found:
        return dataset
    described = pydicom.Dataset()
    for source in (dataset, found):
        _add_grey(described, source)
    return described


def _add_grey(target: pydicom.Dataset, source: pydicom.Dataset) -> None:
    for name in _GREY_ELEMENTS:
        if name in source:
            target.add(source[name])


def declared_window(dataset: pydicom.Dataset) -> Window | None:
    """The first window that the file declares; None where it declares none that can be applied."""
    center, width = dataset.get("WindowCenter", None), dataset.get("WindowWidth", None)
    if center in (None, "") or width in (None, ""):
        return None
    center, width = (value if isinstance(value, float | int) else value[0] for value in (center, width))
    function = _WINDOWS.get(str(dataset.get("VOILUTFunction", None) or "LINEAR").upper())
    is_usable = math.isfinite(center) and math.isfinite(width) and float(width) >= 1.0
    return Window(function, float(center), float(width)) if function and is_usable else None


def quiet_pydicom() -> None:
    """Keep pydicom from writing header values, which may name a patient, into warnings and logs of this process."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.logger.setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"pydicom\.")
