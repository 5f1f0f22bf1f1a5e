"""What is kept of a file of more than 8 bits: the values as other libraries read them, beside the same 8-bit picture as ever."""

from __future__ import annotations

import io
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.pixels.processing import apply_modality_lut

from services.embedding.adapters.formats import read_images
from services.embedding.adapters.images import read_levels, read_png
from services.embedding.domain.depth import DepthForm, values_of
from services.embedding.domain.images import Quarantined, StoredForm
from shared.rows.images import Window
from tests.support.pictures import cine, dicom, nifti, picture, png

RAMP = np.arange(1024, dtype=np.uint16).reshape(32, 32) * 4
CT = {"RescaleSlope": "1", "RescaleIntercept": "-1024"}


def only(data: bytes) -> StoredForm:
    (found,) = read_images(data, b"key")
    assert isinstance(found, StoredForm)
    return found


def depth_of(data: bytes) -> DepthForm:
    found = only(data).depth
    assert found is not None
    return found


def values(depth: DepthForm) -> NDArray[np.float64]:
    return values_of(read_levels(depth.png), depth.low, depth.step)


def saved(image: Image.Image, kind: str) -> bytes:
    target = io.BytesIO()
    image.save(target, format=kind)
    return target.getvalue()


def test_a_ct_slice_keeps_its_hounsfield_units_and_the_window_that_is_shown() -> None:
    depth = depth_of(dicom(RAMP, **CT, WindowCenter=40, WindowWidth=400))
    np.testing.assert_array_equal(values(depth), RAMP.astype(int) - 1024)
    assert (depth.low, depth.step, depth.unit, depth.is_inverted) == (-1024.0, 1.0, "HU", False)
    assert depth.window == Window("linear", 40.0, 400.0)


@pytest.mark.parametrize(
    ("tags", "unit"),
    [
        (CT, "HU"),
        ({**CT, "RescaleType": "HU"}, "HU"),
        ({**CT, "RescaleType": "US"}, ""),
        ({**CT, "SOPClassUID": pydicom.uid.MRImageStorage, "Modality": "MR"}, ""),
        ({**CT, "SOPClassUID": pydicom.uid.EnhancedCTImageStorage, "RescaleType": "HU"}, "HU"),
        ({}, ""),
    ],
)
def test_the_unit_is_told_where_the_rescale_has_it(tags: dict[str, str], unit: str) -> None:
    assert depth_of(dicom(RAMP, **tags)).unit == unit


@pytest.mark.parametrize("slope", ["0.25", "-2"])
def test_values_are_those_of_pydicom_whatever_the_slope(slope: str) -> None:
    data = dicom(RAMP, RescaleSlope=slope, RescaleIntercept="-10.5", PhotometricInterpretation="MONOCHROME1")
    dataset = pydicom.dcmread(io.BytesIO(data))
    depth = depth_of(data)
    np.testing.assert_array_equal(values(depth), apply_modality_lut(dataset.pixel_array, dataset))
    assert (depth.step, depth.is_inverted) == (abs(float(slope)), True)


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_bigendian.dcm"]
)
def test_real_files_keep_what_pydicom_reads(name: str) -> None:
    path = get_testdata_file(name, download=False)
    dataset = pydicom.dcmread(path)
    depth = depth_of(Path(path).read_bytes())
    np.testing.assert_array_equal(values(depth), apply_modality_lut(dataset.pixel_array, dataset))
    assert depth.unit == ("HU" if name.startswith("CT") else "")


def test_each_frame_has_its_own_levels() -> None:
    frames = np.stack([RAMP, RAMP[::-1] + 3])
    found = read_images(cine(frames), b"key")
    for stored, frame in zip(found, frames, strict=True):
        assert isinstance(stored, StoredForm)
        assert stored.depth is not None
        np.testing.assert_array_equal(values(stored.depth), frame)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_of_16_bits_is_kept_as_pillow_reads_it(kind: str) -> None:
    pixels = np.random.default_rng(0).integers(300, 65_000, (40, 60)).astype(np.uint16)
    depth = depth_of(saved(Image.fromarray(pixels), kind))
    np.testing.assert_array_equal(values(depth), pixels)
    assert (depth.step, depth.unit) == (1.0, "")
    assert depth.window is not None
    assert depth.window.function == "minmax"


def test_floating_point_is_kept_within_half_a_step() -> None:
    pixels = np.random.default_rng(0).normal(size=(40, 60)).astype(np.float32)
    depth = depth_of(saved(Image.fromarray(pixels), "TIFF"))
    assert np.abs(values(depth) - pixels).max() <= depth.step / 2 + 1e-9
    assert depth.step == pytest.approx(np.ptp(pixels) / 65535)


def test_a_slice_of_nifti_keeps_its_scaled_values() -> None:
    volume = np.random.default_rng(0).integers(-1000, 3000, (20, 24, 1)).astype(np.int16)
    data = nifti(volume, np.diag([1.0, 1, 1, 1]), slope=0.5, intercept=10)
    wanted = np.rot90(nibabel.Nifti1Image.from_bytes(data).get_fdata()[..., 0])
    np.testing.assert_array_equal(values(depth_of(data)), wanted)


@pytest.mark.parametrize(
    "data",
    [
        png(picture(0)),
        dicom(RAMP.astype(np.uint8), BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=picture(0).tobytes()),
        nifti(picture(0)[..., None], np.diag([1.0, 1, 1, 1])),
        saved(Image.fromarray(np.stack([picture(n) for n in range(3)], axis=2)), "PNG"),
    ],
    ids=["png", "dicom", "nifti", "colour"],
)
def test_of_8_bits_nothing_more_is_kept(data: bytes) -> None:
    assert only(data).depth is None


def test_the_picture_and_its_id_are_the_same_with_and_without_levels() -> None:
    data = dicom(RAMP, **CT, WindowCenter=40, WindowWidth=400)
    (without,) = read_images(data, b"key", is_depth_kept=False)
    assert isinstance(without, StoredForm)
    assert without.depth is None
    assert without.png == only(data).png


def test_the_8_bit_form_is_the_window_of_the_levels() -> None:
    found = only(dicom(RAMP, **CT, WindowCenter=40, WindowWidth=400))
    assert found.depth is not None
    shown = np.clip((values(found.depth) - 39.5) / 399 + 0.5, 0, 1) * 255
    np.testing.assert_array_equal(read_png(found.png)[..., 0], np.rint(shown))


def test_of_a_quarantined_image_nothing_is_kept() -> None:
    for data in (dicom(RAMP, BurnedInAnnotation="YES"), dicom(RAMP, WindowCenter=60_000, WindowWidth=1)):
        (found,) = read_images(data, b"key")
        assert isinstance(found, Quarantined)
