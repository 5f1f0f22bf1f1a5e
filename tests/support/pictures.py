"""Small image files for tests: PNGs and DICOMs made on the spot."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian


def picture(seed: int, size: int = 32) -> NDArray[np.uint8]:
    """A grey picture of blobs and noise; another seed, another picture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    cy, cx, width = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.3)
    blob = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / width**2)
    return np.rint(255 * np.clip(blob + 0.05 * rng.standard_normal((size, size)), 0, 1)).astype(np.uint8)


def png(pixels: NDArray[Any]) -> bytes:
    """The PNG file of pixels."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, format="PNG")
    return target.getvalue()


def dicom(pixels: NDArray[np.uint16], **tags: Any) -> bytes:
    """An uncompressed CT image, or frames with NumberOfFrames among the tags; tags are set or, with None, removed."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset = pydicom.Dataset()
    dataset.file_meta = meta
    dataset.update(
        pydicom.Dataset.from_json(
            {
                "00080016": {"vr": "UI", "Value": [CTImageStorage]},
                "00080018": {"vr": "UI", "Value": ["1.2.3.4"]},
                "00080060": {"vr": "CS", "Value": ["CT"]},
                "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
                "00100020": {"vr": "LO", "Value": ["P-0815"]},
                "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
            }
        )
    )
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = pixels.astype("<u2").tobytes()
    for name, value in tags.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def cine(frames: NDArray[np.uint16], **tags: Any) -> bytes:
    """An uncompressed CT file of frames, (n, rows, columns)."""
    return dicom(frames, NumberOfFrames=len(frames), **tags)


def nifti(values: NDArray[Any], affine: NDArray[np.float64], slope: float = 1.0, intercept: float = 0.0) -> bytes:
    """A NIfTI-1 file of stored values with a scale, written by nibabel in the byte order of the values."""
    order = ">" if values.dtype.byteorder == ">" else "<"
    image = nibabel.Nifti1Image(values, affine, nibabel.Nifti1Header(endianness=order), dtype=values.dtype)
    image.header.set_slope_inter(slope, intercept)
    data = image.to_bytes()
    at = len(data) - values.nbytes
    assert image.header.endianness == order
    return data[:at] + values.tobytes(order="F")  # nibabel would divide by the scale


def write_pool(folder: Path, n: int, size: int = 32) -> Path:
    """A folder of n PNGs, 000.png and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(n):
        (folder / f"{seed:03d}.png").write_bytes(png(picture(seed, size)))
    return folder
