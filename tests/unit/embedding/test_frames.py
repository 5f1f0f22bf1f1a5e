"""DICOM files of several frames: each is an image of its own, against what pydicom decodes; what they promise is checked."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pydicom.data
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from services.embedding.adapters.dicom import decode_dicom
from services.embedding.adapters.formats import read_images
from services.embedding.domain.images import (
    MOST_IMAGES_A_FILE,
    MOST_PIXELS,
    DecodedImage,
    Quarantined,
    StoredForm,
    spread_out,
)
from shared.errors import InvalidArgument
from shared.rows.images import Window
from tests.support.pictures import cine, dicom, picture

KEY = b"a key for tests only"


def frames(n: int, start: int = 0) -> NDArray[np.uint16]:
    return np.stack([picture(start + seed).astype(np.uint16) * 16 for seed in range(n)])


def decoded(data: bytes) -> list[DecodedImage]:
    found = decode_dicom(data, KEY)
    assert isinstance(found, list)
    return found


def changed(data: bytes, **tags: object) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(data))
    for name, value in tags.items():
        setattr(dataset, name, value)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_each_frame_is_an_image_of_the_same_patient_and_study_and_window() -> None:
    values = frames(3)
    found = decoded(cine(values))
    assert [image.part for image in found] == ["#frame-0001", "#frame-0002", "#frame-0003"]
    assert len({(image.patient, image.session, image.modality, image.window) for image in found}) == 1
    low, high = int(values.min()), int(values.max())
    assert found[0].window == Window("minmax", (low + high) / 2, float(high - low))
    for image, stored in zip(found, values, strict=True):
        np.testing.assert_array_equal(image.pixels, np.rint((stored - low) / (high - low) * 255).astype(np.uint8))
        assert image.note == ""


def test_a_file_of_one_frame_has_no_part() -> None:
    assert [image.part for image in decoded(cine(frames(1)))] == [""]


def test_of_many_frames_the_middles_of_equal_parts_are_taken_and_the_rest_is_counted() -> None:
    values = frames(1).repeat(100, axis=0) + np.arange(100, dtype=np.uint16)[:, None, None]
    found = decoded(cine(values, WindowCenter=2000, WindowWidth=4000))
    assert len(found) == MOST_IMAGES_A_FILE
    assert found[0].part == "#frame-0002"  # the middle of 1..3.125
    assert found[-1].part == "#frame-0099"
    assert {image.note for image in found} == {"32 of the 100 frames were taken, evenly spaced"}
    for image in found:
        one = decoded(dicom(values[int(image.part[-4:]) - 1], WindowCenter=2000, WindowWidth=4000))
        np.testing.assert_array_equal(image.pixels, one[0].pixels)


@pytest.mark.parametrize(
    ("n", "side", "expected"),
    [(1, 32, [0]), (3, 32, [0, 1, 2]), (10, 4000, [1, 3, 6, 8]), (5, 8000, [2]), (32, 32, list(range(32)))],
)
def test_frames_are_spread_out_and_have_no_more_pixels_than_one_image_may(
    n: int, side: int, expected: list[int]
) -> None:
    assert spread_out(n, side, side) == expected
    assert len(expected) * side * side <= MOST_PIXELS


@pytest.mark.parametrize("name", ["SC_rgb_rle_2frame.dcm", "rtdose.dcm", "rtdose_rle.dcm", "examples_ybr_color.dcm"])
def test_frames_are_what_pydicom_decodes(name: str) -> None:
    dataset = pydicom.dcmread(str(pydicom.data.get_testdata_file(name, download=False)))
    dataset.BurnedInAnnotation = "NO"
    stream = io.BytesIO()
    dataset.save_as(stream)
    found = decoded(stream.getvalue())
    stored = dataset.pixel_array
    assert len(found) == dataset.NumberOfFrames
    if stored.ndim == 4:
        for image, pixels in zip(found, stored, strict=True):
            np.testing.assert_array_equal(np.broadcast_to(np.atleast_3d(image.pixels), pixels.shape), pixels)
    else:
        doses = stored.astype(np.float64)
        expected = np.rint((doses - doses.min()) / np.ptp(doses) * 255).astype(np.uint8)
        np.testing.assert_array_equal(np.stack([image.pixels for image in found]), expected)


@pytest.mark.parametrize("has_table", ["none", "basic", "extended"])
def test_compressed_frames_are_found_with_and_without_their_tables(has_table: str) -> None:
    values = frames(3)
    plain, dataset = decoded(cine(values)), pydicom.dcmread(io.BytesIO(cine(values)))
    dataset.compress(RLELossless)
    packed = [pydicom.encaps.get_frame(dataset.PixelData, index, number_of_frames=3) for index in range(3)]
    if has_table == "extended":
        dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(
            packed
        )
    else:
        dataset.PixelData = encapsulate(packed, has_bot=has_table == "basic")
    stream = io.BytesIO()
    dataset.save_as(stream)
    for one, other in zip(decoded(stream.getvalue()), plain, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_rescale_and_window_of_an_enhanced_file_are_those_of_its_functional_groups() -> None:
    values = frames(1).repeat(2, axis=0)  # the same stored values, with another rescale each
    groups = []
    for slope in (1.0, 2.0):
        transformation, window, group = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        transformation.RescaleSlope, transformation.RescaleIntercept = slope, 0.0
        window.WindowCenter, window.WindowWidth = 2000, 4000
        group.PixelValueTransformationSequence = Sequence([transformation])
        group.FrameVOILUTSequence = Sequence([window])
        groups.append(group)
    found = decoded(changed(cine(values), PerFrameFunctionalGroupsSequence=Sequence(groups)))
    plain = [dicom(values[0], WindowCenter=2000, WindowWidth=4000, RescaleSlope=s, RescaleIntercept=0) for s in (1, 2)]
    for image, one in zip(found, plain, strict=True):
        assert image.window == Window("linear", 2000.0, 4000.0)
        np.testing.assert_array_equal(image.pixels, decoded(one)[0].pixels)
    shared = decoded(changed(cine(values), SharedFunctionalGroupsSequence=Sequence(groups[1:])))
    np.testing.assert_array_equal(shared[0].pixels, found[1].pixels)


def test_a_blank_frame_is_quarantined_alone() -> None:
    values = frames(3)
    values[1] = 7
    found = read_images(cine(values), KEY)
    assert [type(one) for one in found] == [StoredForm, Quarantined, StoredForm]
    assert found[1].part == "#frame-0002"


def test_a_file_whose_pixels_may_name_a_patient_is_quarantined_as_a_whole() -> None:
    found = decode_dicom(cine(frames(3), BurnedInAnnotation="YES"), KEY)
    assert isinstance(found, Quarantined)
    assert found.part == ""


def test_frames_that_are_not_there_are_refused() -> None:
    data = cine(frames(3))
    for n in (4, 10**9, 2):
        with pytest.raises(InvalidArgument, match=r"cut short|more pixels") as caught:
            decode_dicom(changed(data, NumberOfFrames=n), KEY)
        assert caught.value.remedy
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.compress(RLELossless)
    dataset.NumberOfFrames = 10**9
    stream = io.BytesIO()
    dataset.save_as(stream)
    with pytest.raises(InvalidArgument, match="damaged"):
        decode_dicom(stream.getvalue(), KEY)


def test_a_frame_that_is_larger_than_its_header_says_is_not_decoded_wherever_it_stands() -> None:
    """Each frame that is taken is checked, and where the tables lead two ways, the frame that would be decoded."""
    dataset = pydicom.dcmread(io.BytesIO(cine(frames(2))))
    dataset.compress(RLELossless)
    good = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=2)
    large = good[:64] + b"\x81\0" * 100_000
    dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(
        [good, large]
    )
    stream = io.BytesIO()
    dataset.save_as(stream)
    with pytest.raises(InvalidArgument, match="not of the size"):
        decode_dicom(stream.getvalue(), KEY)
