"""The ways in which DICOM files keep their pixels, against pydicom's own decoding; and what never reaches a stored picture."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pydicom.data
import pytest
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, convert_color_space
from pydicom.sequence import Sequence

from services.embedding.adapters.dicom import decode_dicom
from services.embedding.adapters.formats import read_images
from services.embedding.adapters.images import read_png
from services.embedding.domain.images import DecodedImage, StoredForm
from tests.support.pictures import dicom, picture

KEY = b"a key for tests only"
PLANTED = "PLANTED-DOE-JANE"
COLOURS = np.stack([picture(1), picture(2), picture(3)], axis=-1)


def decoded(dataset: pydicom.Dataset) -> DecodedImage:
    found = decode_dicom(written(dataset), KEY)
    assert isinstance(found, list)
    (image,) = found
    return image


def written(dataset: pydicom.Dataset) -> bytes:
    dataset.BurnedInAnnotation = "NO"
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def shipped(name: str) -> pydicom.Dataset:
    return pydicom.dcmread(str(pydicom.data.get_testdata_file(name, download=False)))


def made(pixels: NDArray[np.uint16], **tags: object) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(dicom(pixels, **tags)))


def stretched(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    numbers = values.astype(np.float64)
    return np.rint((numbers - numbers.min()) / np.ptp(numbers) * 255).astype(np.uint8)


@pytest.mark.parametrize(("bits", "is_signed"), [(8, False), (12, True), (16, False), (16, True)])
@pytest.mark.parametrize("meaning", ["MONOCHROME1", "MONOCHROME2"])
def test_grey_of_each_depth_and_sign_is_what_pydicom_decodes(bits: int, is_signed: bool, meaning: str) -> None:
    shift = 1 << (bits - 1) if is_signed else 0
    values = picture(4).astype(np.int64) * (((1 << bits) - 1) // 255) - shift
    dataset = made(
        (values % (1 << 16)).astype(np.uint16),
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=int(is_signed),
        PhotometricInterpretation=meaning,
    )
    np.testing.assert_array_equal(dataset.pixel_array, values)
    expected = stretched(dataset.pixel_array)
    np.testing.assert_array_equal(decoded(dataset).pixels, 255 - expected if meaning == "MONOCHROME1" else expected)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "ExplVR_BigEnd.dcm"])
def test_grey_of_real_devices_is_what_pydicom_decodes(name: str) -> None:
    dataset = shipped(name)
    for window in ("WindowCenter", "WindowWidth"):
        if window in dataset:
            delattr(dataset, window)
    values = apply_modality_lut(dataset.pixel_array, dataset)
    if dataset.SamplesPerPixel == 1:
        padding = dataset.get("PixelPaddingValue")
        content = values if padding is None else values[dataset.pixel_array != padding]
        low, high = float(content.min()), float(content.max())
        values = np.rint(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * 255)
    np.testing.assert_array_equal(decoded(dataset).pixels, values)


def test_a_palette_is_applied_as_pydicom_applies_it() -> None:
    dataset = shipped("examples_palette.dcm")
    coloured = apply_color_lut(dataset.pixel_array, dataset)
    white = 2.0 ** int(dataset.RedPaletteColorLookupTableDescriptor[2]) - 1
    np.testing.assert_array_equal(decoded(dataset).pixels, np.rint(coloured / white * 255).astype(np.uint8))


@pytest.mark.parametrize(
    "name",
    [
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        "SC_rgb_dcmtk_+eb+cy+s2.dcm",
        "SC_rgb_small_odd.dcm",
        "SC_rgb_rle.dcm",
        "SC_rgb_rle_16bit.dcm",
        "examples_rgb_color.dcm",
        "examples_jpeg2k.dcm",
    ],
)
def test_colour_is_what_pydicom_decodes(name: str) -> None:
    dataset = shipped(name)
    white = 2 ** int(dataset.BitsStored) - 1
    expected = np.rint(dataset.pixel_array / white * 255).astype(np.uint8)
    np.testing.assert_array_equal(np.broadcast_to(np.atleast_3d(decoded(dataset).pixels), expected.shape), expected)


@pytest.mark.parametrize("planes", [0, 1])
@pytest.mark.parametrize("meaning", ["RGB", "YBR_FULL"])
def test_colour_by_pixel_and_by_plane_is_the_same(planes: int, meaning: str) -> None:
    dataset = made(picture(1).astype(np.uint16))
    stored = COLOURS if meaning == "RGB" else convert_color_space(COLOURS, "RGB", meaning)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, meaning, planes
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = (np.moveaxis(stored, 2, 0) if planes else stored).tobytes()
    found = decoded(dataset).pixels
    np.testing.assert_array_equal(found, dataset.pixel_array)
    np.testing.assert_allclose(found.astype(int), COLOURS, atol=0 if meaning == "RGB" else 3)


def with_planted_text() -> pydicom.Dataset:
    """A file whose every place beside the pixels holds a text: private tags, comments, an overlay, graphics, a text object."""
    dataset = made(picture(4).astype(np.uint16) * 16, PatientName=PLANTED, PatientID=PLANTED, ImageComments=PLANTED)
    block = dataset.private_block(0x0011, PLANTED, create=True)
    block.add_new(0x01, "LO", PLANTED)
    block.add_new(0x02, "OB", PLANTED.encode())
    text, annotation = pydicom.Dataset(), pydicom.Dataset()
    text.UnformattedTextValue = PLANTED
    annotation.GraphicLayer, annotation.TextObjectSequence = "TEXT", Sequence([text])
    dataset.GraphicAnnotationSequence = Sequence([annotation])
    for group in (0x6000, 0x6002, 0x601E):
        dataset.add_new((group, 0x0010), "US", 32)
        dataset.add_new((group, 0x0011), "US", 32)
        dataset.add_new((group, 0x0022), "LO", PLANTED)
        dataset.add_new((group, 0x0040), "CS", "G")
        dataset.add_new((group, 0x0050), "SS", [1, 1])
        dataset.add_new((group, 0x0100), "US", 1)
        dataset.add_new((group, 0x0102), "US", 0)
        dataset.add_new((group, 0x3000), "OB", PLANTED.encode() * 8)
    dataset.add_new((0xFFFC, 0xFFFC), "OB", PLANTED.encode())
    return dataset


def test_nothing_that_stands_beside_the_pixels_is_stored_or_drawn() -> None:
    data = written(with_planted_text())
    assert data.count(PLANTED.encode()) > 10
    (form,) = read_images(data, KEY)
    assert isinstance(form, StoredForm)
    assert PLANTED.encode() not in form.png + repr(form).encode()
    (plain,) = read_images(written(made(picture(4).astype(np.uint16) * 16)), KEY)
    assert isinstance(plain, StoredForm)
    assert form.png == plain.png


def test_an_overlay_of_a_real_device_is_not_drawn() -> None:
    dataset = shipped("examples_overlay.dcm")
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.4", "MR"
    (with_overlay,) = read_images(written(dataset), KEY)
    overlays = [element.tag for element in dataset if 0x6000 <= element.tag.group <= 0x60FF]
    assert overlays
    for tag in overlays:
        del dataset[tag]
    (without,) = read_images(written(dataset), KEY)
    assert isinstance(with_overlay, StoredForm)
    assert isinstance(without, StoredForm)
    np.testing.assert_array_equal(read_png(with_overlay.png), read_png(without.png))
