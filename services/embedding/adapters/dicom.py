"""DICOM with pydicom: pixels as a display shows them, keyed hashes of patient and study, no more.

How grey levels become bytes stands in `dicom_grey`. A file whose pixels may hold burned-in text is quarantined. Overlays are
not drawn.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pydicom
import pydicom.config
from numpy.typing import NDArray
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from services.embedding.adapters.dicom_grey import grey_levels
from services.embedding.adapters.dicom_header import check_header, inflated, white_of
from services.embedding.domain.depth import Depth
from services.embedding.domain.identity import keyed_hash
from services.embedding.domain.images import DecodedImage, Quarantined, drop_equal_channels, map_levels, origin_of
from shared.errors import InvalidArgument, MedqError
from shared.rows.fields import Modality
from shared.rows.images import Window
from shared.rows.vocabulary import UNKNOWN

MAGIC, MAGIC_OFFSET = b"DICM", 128
#: The codes of DICOM (PS3.3 C.7.3.1.1.1) that the vocabulary has a name for; every other is unknown.
_MODALITIES: dict[str, Modality] = {"CT": "ct", "MR": "mri", "OP": "fundus", "ES": "endoscopy", "SM": "histopathology"}
#: Devices that write text into the picture: without the tag they are not trusted.
_WRITING_MODALITIES = frozenset({"US", "IVUS", "SC", "OT"})
_WRITING_CLASSES = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.3")


def decode_dicom(data: bytes, key: bytes, part: str = "") -> list[DecodedImage] | Quarantined:
    """Read a DICOM file, each frame as an image of the same patient and study.

    Args:
        data: The file.
        key: The site's key for the hashes of PatientID and StudyInstanceUID.
        part: The frame that is meant, as `#frame-0007`; "" for those that are taken of a file as a whole.

    Raises:
        InvalidArgument: damaged, cut short, without pixels or the part, or compressed in a way that cannot be read here. The
            text never holds a value of the header.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(inflated(data)))
        reason = burned_in_reason(dataset)
        if reason:
            remedy = "Check its pixels for text, set BurnedInAnnotation to NO, and ingest it again."
            return Quarantined(reason, remedy)
        n_frames, taken = check_header(dataset, part)
        several, windows, depths = _display(dataset, taken)
        modality = modality_of(dataset)
        patient = keyed_hash(key, "patient", str(dataset.get("PatientID", None) or ""))
        session = keyed_hash(key, "session", str(dataset.get("StudyInstanceUID", None) or ""))
        names = [f"#frame-{index + 1:04d}" if n_frames > 1 else "" for index in taken]
        note = f"{len(taken)} of the {n_frames} frames were taken, evenly spaced" if len(taken) < n_frames else ""
        origin = origin_of(dataset.PixelData) if n_frames > 1 else ""
        return [
            DecodedImage(
                drop_equal_channels(pixels),
                window,
                modality,
                patient,
                session,
                name,
                "" if part else note,
                origin,
                depth,
            )
            for name, pixels, window, depth in zip(names, several, windows, depths, strict=True)
            if part in ("", name)
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


def modality_of(dataset: pydicom.Dataset) -> Modality | Literal[""]:
    """The vocabulary's name of the file's modality; "unknown" for any other code and for several, "" for none."""
    codes = _values(dataset, "Modality")
    if codes == {""}:
        return ""
    return _MODALITIES.get(codes.pop(), UNKNOWN) if len(codes) == 1 else UNKNOWN


def _values(dataset: pydicom.Dataset, name: str) -> set[str]:
    """The values of an element as codes have them; a file may have several where one is meant, or in small letters."""
    value = dataset.get(name, None)
    several = value if isinstance(value, MultiValue) else [value]
    return {str(one or "").strip(" \0").upper() for one in several}


def _display(
    dataset: pydicom.Dataset, taken: Sequence[int]
) -> tuple[NDArray[np.uint8], list[Window | None], list[Depth | None]]:
    """The frames that are taken, (n, rows, columns) or (n, rows, columns, 3), and the window and the depth of each."""
    stored = _decoded(dataset, taken)
    nothing: tuple[list[Window | None], list[Depth | None]] = [None] * len(taken), [None] * len(taken)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        coloured = apply_color_lut(stored, dataset)
        white = white_of(dataset.RedPaletteColorLookupTableDescriptor)
        return map_levels(coloured[..., :3], lambda part: part / white), *nothing
    if stored.ndim == 4:
        white = 2.0 ** int(dataset.BitsStored) - 1
        return map_levels(stored, lambda part: part / white), *nothing
    levels, windows, depths = grey_levels(dataset, stored, taken)
    return (255 - levels if dataset.PhotometricInterpretation == "MONOCHROME1" else levels), [*windows], depths


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


def quiet_pydicom() -> None:
    """Keep pydicom from writing header values, which may name a patient, into warnings and logs of this process."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.logger.setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"pydicom\.")
