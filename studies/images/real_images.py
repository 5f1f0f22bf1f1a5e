"""Real images to degrade: the few that lie inside the installed wheels, or a folder of the user's own.

Nothing is downloaded: a file that the installed version does not ship is left out. A source is one patient's image.
Images come back as float64 in 0..1, grey for MRI and CT, RGB for the others.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import skimage
from PIL import Image as PilImage
from PIL import UnidentifiedImageError
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array

from shared.errors import InvalidArgument, NotFound
from studies.images.degradations import DEGRADATIONS, GREY_MODALITIES, SMALLEST_SIDE
from studies.images.drawing import Image, clip_to_unit

IN_WHEELS = (
    ("ct", "pydicom", "data/test_files/J2K_pixelrep_mismatch.dcm"),
    ("ct", "pydicom", "data/test_files/CT_small.dcm"),
    ("mri", "pydicom", "data/test_files/examples_overlay.dcm"),
    ("mri", "pydicom", "data/test_files/MR_small.dcm"),
    ("fundus", "skimage", "data/retina.jpg"),
    ("histopathology", "skimage", "data/ihc.png"),
)
"""Modality, package and file. Left out, though they are there: pydicom's 693_J2KI.dcm (a CT slice already ruined by its
compression, so it cannot serve as clean), its copies of CT_small and MR_small in other encodings, its 16 x 16 thumbnails,
and scikit-image's microaneurysms.png (a grey detail, no fundus photograph)."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm"})
"""Files of the user's folder that are tried; a file without a suffix is tried as DICOM."""


@dataclass(frozen=True)
class Source:
    """One real image: a name that says where it is from, its modality, its file and whose it is."""

    name: str
    modality: str
    path: Path
    patient: str

    @property
    def is_dicom(self) -> bool:
        """Whether the file is read as DICOM."""
        return self.path.suffix.lower() in (".dcm", "")


def wheel_sources() -> list[Source]:
    """The usable images that the installed wheels ship, at most six; no network is touched."""
    roots = {"pydicom": Path(pydicom.__file__).parent, "skimage": Path(skimage.__file__).parent}
    sources = []
    for modality, package, file in IN_WHEELS:
        path = roots[package] / file
        if path.is_file():
            name = f"{package}-{path.stem}"
            sources.append(Source(name, modality, path, name))
    return sources


def folder_sources(folder: Path, modality: str) -> list[Source]:
    """The images of a user's folder, sorted by path.

    Args:
        folder: Searched with its sub-folders. Files in a sub-folder belong to one patient, the sub-folder; any other
            file is a patient of its own.
        modality: What all of them are.

    Raises:
        InvalidArgument: an unknown modality.
        NotFound: the folder does not exist, or has no file with a known suffix.
    """
    if modality not in DEGRADATIONS:
        remedy = f"use one of {', '.join(DEGRADATIONS)}"
        raise InvalidArgument("Unknown modality.", field="modality", value=modality, remedy=remedy)
    if not folder.is_dir():
        raise NotFound("No such folder.", field="images", value=folder, remedy="Give a folder of images")
    sources = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (path.suffix.lower() in SUFFIXES or "." not in path.name):
            parts = path.relative_to(folder).parts
            patient = parts[0] if len(parts) > 1 else path.stem
            sources.append(Source("/".join(parts), modality, path, patient))
    if not sources:
        remedy = f"put files ending in {', '.join(sorted(SUFFIXES))} there"
        raise NotFound("No image in the folder.", field="images", value=folder, remedy=remedy)
    return sources


def read_image(source: Source) -> Image:
    """Decode a source.

    Returns:
        float64 in 0..1, (h, w) for MRI and CT, (h, w, 3) for the others; DICOM through its rescale and its first window,
        or over its whole range where it has none.

    Raises:
        InvalidArgument: the file cannot be decoded, is flat, has several frames, or is smaller than `SMALLEST_SIDE`.
    """
    remedy = "leave the file out, or convert it to PNG"
    try:
        pixels = _read_dicom(source.path) if source.is_dicom else _read_picture(source.path)
    except (OSError, UnidentifiedImageError, InvalidDicomError, AttributeError, ValueError, RuntimeError) as error:
        message = f"cannot decode the image: {error}"
        raise InvalidArgument(message, field="image", value=source.name, remedy=remedy) from error
    is_grey = pixels.ndim == 2
    if not is_grey and (pixels.ndim != 3 or pixels.shape[2] != 3):
        raise InvalidArgument("Not one grey or RGB frame.", field="image", value=source.name, remedy=remedy)
    if min(pixels.shape[:2]) < SMALLEST_SIDE or pixels.min() == pixels.max():
        raise InvalidArgument("The image is tiny or flat.", field="image", value=source.name, remedy=remedy)
    if source.modality in GREY_MODALITIES:
        return clip_to_unit(pixels if is_grey else pixels.mean(axis=2))
    return clip_to_unit(np.repeat(pixels[..., None], 3, axis=2) if is_grey else pixels)


def _read_dicom(path: Path) -> Image:
    """Rescaled and windowed pixels in 0..1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of harmless slips in other vendors' headers
        dataset = pydicom.dcmread(path)
        values = apply_modality_lut(pixel_array(dataset), dataset)
        shown = np.asarray(apply_voi_lut(values, dataset), dtype=np.float64)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = -shown
    return _over_range(shown)


def _read_picture(path: Path) -> Image:
    """Pixels of a PNG, JPEG, TIFF or BMP in 0..1; 16-bit grey over its own range."""
    with PilImage.open(path) as picture:
        if picture.mode.startswith("I") or picture.mode == "F":
            return _over_range(np.asarray(picture, dtype=np.float64))
        mode = "L" if picture.mode in ("1", "L", "LA") else "RGB"
        return np.asarray(picture.convert(mode), dtype=np.float64) / 255.0


def _over_range(values: Image) -> Image:
    """The values with the smallest at 0 and the largest at 1; a flat image becomes 0."""
    return np.asarray((values - values.min()) / max(float(np.ptp(values)), 1e-12))
