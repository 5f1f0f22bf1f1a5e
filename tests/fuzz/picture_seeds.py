"""Small valid image files of every kind that is read, and two that are bombs."""

from __future__ import annotations

import io
import struct
from functools import cache

import numpy as np
import pydicom
import pydicom.encaps
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from tests.fuzz.limits import MARKER
from tests.support.inks import ink_profile
from tests.support.pictures import cine, dicom, picture

#: What a bomb becomes when it is read.
BOMB_BYTES = 80 * 1024 * 1024


@cache
def png_seeds() -> tuple[bytes, ...]:
    """Grey, RGB, RGBA, palette, two levels, 16 bit."""
    grey = picture(1)
    colour = np.stack([grey, picture(2), picture(3)], axis=-1)
    images = [Image.fromarray(grey), Image.fromarray(colour), Image.fromarray(colour).quantize(16)]
    images += [Image.fromarray(np.dstack([colour, grey])), Image.fromarray(grey).convert("1")]
    images.append(Image.fromarray(grey.astype(np.uint16) * 257))
    return tuple(_saved(image, "PNG") for image in images)


@cache
def tiff_seeds() -> tuple[bytes, ...]:
    """Grey, RGB, 16 bit, floating point; plain, LZW, deflated, packed; CMYK with a profile, and a BigTIFF."""
    grey = picture(4)
    arrays = (grey, np.stack([grey] * 3, axis=-1), grey.astype(np.uint16) * 257, grey.astype(np.float32))
    plain = [_saved(Image.fromarray(array), "TIFF") for array in arrays]
    packed = ("tiff_lzw", "tiff_adobe_deflate", "packbits")
    inks = _saved(Image.fromarray(grey).convert("CMYK"), "TIFF", icc_profile=ink_profile({(0, 0, 0, 0): (100, 0, 0)}))
    large = _saved(Image.fromarray(grey), "TIFF", big_tiff=True)
    return (*plain, *(_saved(Image.fromarray(grey), "TIFF", compression=name) for name in packed), inks, large)


@cache
def jpeg_seeds() -> tuple[bytes, ...]:
    """Grey, colour, progressive, CMYK with a profile."""
    grey = Image.fromarray(picture(5))
    inks = _saved(grey.convert("CMYK"), "JPEG", icc_profile=ink_profile({(0, 0, 0, 0): (100, 0, 0)}))
    return _saved(grey, "JPEG"), _saved(grey.convert("RGB"), "JPEG"), _saved(grey, "JPEG", progressive=True), inks


@cache
def dicom_seeds() -> tuple[bytes, ...]:
    """CT with a window, inverted, with rescale, padded, of two frames; implicit, deflated, RLE; with functional groups."""
    pixels = picture(6).astype(np.uint16) * 16
    tags = (
        {"WindowCenter": 2000, "WindowWidth": 1000, "PatientName": MARKER},
        {"PhotometricInterpretation": "MONOCHROME1", "Modality": "MR"},
        {"RescaleSlope": 1, "RescaleIntercept": -1024, "PixelPaddingValue": 0},
    )
    plain = [dicom(pixels, **some) for some in tags]
    frames = cine(np.stack([pixels, pixels // 2]), PatientName=MARKER)
    packed = []
    for syntax in (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless):
        dataset = pydicom.dcmread(io.BytesIO(plain[0]))
        if syntax == RLELossless:
            dataset.compress(RLELossless)
        dataset.file_meta.TransferSyntaxUID = syntax
        packed.append(written(dataset))
    return (*plain, *packed, frames, written(_enhanced(pydicom.dcmread(io.BytesIO(frames)))))


def _enhanced(dataset: pydicom.Dataset) -> pydicom.Dataset:
    """The same with a window for one of its two frames and a table for the other."""
    window, table, lut = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    window.WindowCenter, window.WindowWidth, window.VOILUTFunction = 2000, 900, "SIGMOID"
    lut.LUTDescriptor, lut.LUTData = [64, 0, 16], np.arange(0, 65536, 1024).astype("<u2").tobytes()
    table.VOILUTSequence = [lut]
    groups = [pydicom.Dataset(), pydicom.Dataset()]
    groups[0].FrameVOILUTSequence, groups[1].FrameVOILUTSequence = [window], [table]
    dataset.PerFrameFunctionalGroupsSequence = groups
    return dataset


@cache
def dicom_bombs() -> tuple[bytes, bytes]:
    """A file that is deflated zeros, and a run of RLE, each of which becomes 80 MiB of pixels and more when they are read."""
    deflated = pydicom.dcmread(io.BytesIO(dicom_seeds()[4]))
    deflated.Rows = deflated.Columns = 6400
    deflated.PixelData = bytes(BOMB_BYTES)
    packed = pydicom.dcmread(io.BytesIO(dicom_seeds()[5]))
    packed.Rows = packed.Columns = 65_535
    # Two planes of bytes; each pair says "the second, 128 times".
    plane = b"\x81\0" * 100_000
    header = struct.pack("<16I", 2, 64, 64 + len(plane), *[0] * 13)
    packed.PixelData = pydicom.encaps.encapsulate([header + plane + plane])
    return written(deflated), written(packed)


def _saved(image: Image.Image, kind: str, **how: object) -> bytes:
    target = io.BytesIO()
    image.save(target, format=kind, **how)
    return target.getvalue()


def written(dataset: pydicom.Dataset) -> bytes:
    """The file of a dataset."""
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()
