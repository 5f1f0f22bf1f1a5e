"""Rescale and window of enhanced multi-frame files: each frame as a file of this frame alone, against pydicom's own pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from services.embedding.adapters.dicom import decode_dicom
from services.embedding.domain.images import DecodedImage
from shared.errors import InvalidArgument
from shared.rows.images import Window
from tests.support.pictures import cine, dicom, picture

KEY = b"a key for tests only"
VALUES = np.stack([picture(seed).astype(np.uint16) * 16 for seed in range(3)])  # 0..4080, 12 bits
TRANSFORMATION, VOI = "PixelValueTransformationSequence", "FrameVOILUTSequence"


def item(**elements: object) -> pydicom.Dataset:
    made = pydicom.Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def group(rescale: pydicom.Dataset | None = None, voi: pydicom.Dataset | None = None) -> pydicom.Dataset:
    """A functional group with these macros."""
    made = pydicom.Dataset()
    for name, macro in ((TRANSFORMATION, rescale), (VOI, voi)):
        if macro is not None:
            setattr(made, name, [macro])
    return made


def table(entries: NDArray[np.generic], first: int, bits: int) -> pydicom.Dataset:
    """A lookup table in 16-bit words."""
    return item(LUTDescriptor=[len(entries), first, bits], LUTData=entries.astype("<u2").tobytes())


def enhanced(
    per_frame: Sequence[pydicom.Dataset] = (), shared: Sequence[pydicom.Dataset] = (), **tags: object
) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(cine(VALUES, **tags)))
    dataset.PerFrameFunctionalGroupsSequence = list(per_frame)
    dataset.SharedFunctionalGroupsSequence = list(shared)
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def decoded(data: bytes) -> list[DecodedImage]:
    found = decode_dicom(data, KEY)
    assert isinstance(found, list)
    return found


def flattened(frame: NDArray[np.uint16], *macros: pydicom.Dataset, **tags: object) -> pydicom.Dataset:
    """A classic file of one frame, with the elements of the macros in its own header."""
    dataset = pydicom.dcmread(io.BytesIO(dicom(frame, **tags)))
    for macro in macros:
        dataset.update(macro)
    return dataset


def by_pydicom(dataset: pydicom.Dataset) -> NDArray[np.float64]:
    """Pixels after modality and VOI transformation as pydicom makes them, their output range brought to 0..255."""
    values = apply_modality_lut(dataset.pixel_array, dataset)
    if "VOILUTSequence" in dataset:
        low, high = 0.0, 2.0 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1
        values = values.astype(np.int64)
    elif "ModalityLUTSequence" in dataset:
        low, high = 0.0, 2.0 ** int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    else:
        ends = np.array([0, 2 ** int(dataset.BitsStored) - 1], np.uint16)
        low, high = map(float, apply_modality_lut(ends, dataset))
    return (apply_voi_lut(values, dataset).astype(np.float64) - low) / (high - low) * 255


RESCALES = [
    item(RescaleSlope=1, RescaleIntercept=0, RescaleType="US"),
    item(RescaleSlope=2, RescaleIntercept=-1000, RescaleType="HU"),
    item(RescaleSlope="0.5", RescaleIntercept="12.25", RescaleType="US"),
]
WINDOWS = [
    item(WindowCenter=2000, WindowWidth=3000),
    item(WindowCenter=40, WindowWidth=400, VOILUTFunction="LINEAR_EXACT"),
    item(WindowCenter=700, WindowWidth=900, VOILUTFunction="SIGMOID"),
]


def test_each_frame_is_shown_with_its_own_rescale_and_window_as_pydicom_shows_it() -> None:
    found = decoded(enhanced([group(*macros) for macros in zip(RESCALES, WINDOWS, strict=True)]))
    assert [image.window for image in found] == [
        Window("linear", 2000.0, 3000.0), Window("linear_exact", 40.0, 400.0), Window("sigmoid", 700.0, 900.0),
    ]  # fmt: skip
    for image, frame, *macros in zip(found, VALUES, RESCALES, WINDOWS, strict=True):
        np.testing.assert_allclose(image.pixels, by_pydicom(flattened(frame, *macros)), atol=0.51)


def test_each_frame_is_what_a_classic_file_of_it_would_be() -> None:
    found = decoded(enhanced([group(*macros) for macros in zip(RESCALES, WINDOWS, strict=True)]))
    for image, frame, *macros in zip(found, VALUES, RESCALES, WINDOWS, strict=True):
        stream = io.BytesIO()
        flattened(frame, *macros).save_as(stream)
        (classic,) = decoded(stream.getvalue())
        np.testing.assert_array_equal(image.pixels, classic.pixels)
        assert image.window == classic.window


def test_a_shared_group_serves_every_frame_that_has_none_of_its_own() -> None:
    found = decoded(enhanced([group(), group(voi=WINDOWS[2]), group()], [group(RESCALES[1], WINDOWS[0])]))
    voi = [WINDOWS[0], WINDOWS[2], WINDOWS[0]]
    for image, frame, own in zip(found, VALUES, voi, strict=True):
        np.testing.assert_allclose(image.pixels, by_pydicom(flattened(frame, RESCALES[1], own)), atol=0.51)


def test_a_group_goes_before_the_header_and_a_header_serves_where_there_is_no_group() -> None:
    header = {"RescaleSlope": 3, "RescaleIntercept": 5, "WindowCenter": 100, "WindowWidth": 50}
    found = decoded(enhanced([group(voi=WINDOWS[0]), group(RESCALES[1]), group()], **header))
    expected = [
        flattened(VALUES[0], WINDOWS[0], RescaleSlope=3, RescaleIntercept=5),
        flattened(VALUES[1], RESCALES[1], WindowCenter=100, WindowWidth=50),
        flattened(VALUES[2], **header),
    ]
    for image, dataset in zip(found, expected, strict=True):
        np.testing.assert_allclose(image.pixels, by_pydicom(dataset), atol=0.51)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_voi_tables_of_frames_are_applied_as_pydicom_applies_them(bits: int) -> None:
    rng = np.random.default_rng(bits)
    tables = [np.sort(rng.integers(0, 2**bits, n)) for n in (4096, 1000, 3000)]
    macros = [item(VOILUTSequence=[table(one, 500 * at, bits)]) for at, one in enumerate(tables)]
    found = decoded(enhanced([group(voi=macro) for macro in macros]))
    for image, frame, macro in zip(found, VALUES, macros, strict=True):
        assert image.window == Window("lut")
        np.testing.assert_allclose(image.pixels, by_pydicom(flattened(frame, macro)), atol=0.51)


def test_a_table_and_a_window_stand_side_by_side_in_one_file() -> None:
    curve = item(VOILUTSequence=[table(np.arange(4095, -1, -1), 0, 12)])
    found = decoded(enhanced([group(RESCALES[0], curve), group(RESCALES[1], WINDOWS[1]), group(RESCALES[0], curve)]))
    assert [image.window for image in found] == [Window("lut"), Window("linear_exact", 40.0, 400.0), Window("lut")]
    for image, frame, rescale, voi in zip(
        found, VALUES, (RESCALES[0], RESCALES[1], RESCALES[0]), (curve, WINDOWS[1], curve), strict=True
    ):
        np.testing.assert_allclose(image.pixels, by_pydicom(flattened(frame, rescale, voi)), atol=0.51)


def test_a_modality_table_of_a_group_goes_before_its_window() -> None:
    rng = np.random.default_rng(0)
    macros = [item(ModalityLUTSequence=[table(rng.integers(0, 4096, 4096), 0, 16)]) for _ in VALUES]
    found = decoded(enhanced([group(macro, WINDOWS[0]) for macro in macros]))
    for image, frame, macro in zip(found, VALUES, macros, strict=True):
        np.testing.assert_allclose(image.pixels, by_pydicom(flattened(frame, macro, WINDOWS[0])), atol=0.51)


def test_frames_without_a_usable_window_share_the_range_of_their_rescaled_values() -> None:
    impossible = item(WindowCenter=100, WindowWidth=0)
    found = decoded(enhanced([group(RESCALES[0]), group(RESCALES[1], WINDOWS[0]), group(RESCALES[2], impossible)]))
    values = [VALUES[0].astype(float), VALUES[2] * 0.5 + 12.25]
    low, high = min(one.min() for one in values), max(one.max() for one in values)
    for image, expected in zip((found[0], found[2]), values, strict=True):
        assert image.window == Window("minmax", (low + high) / 2, high - low)
        np.testing.assert_array_equal(image.pixels, np.rint((expected - low) / (high - low) * 255))
    np.testing.assert_allclose(found[1].pixels, by_pydicom(flattened(VALUES[1], RESCALES[1], WINDOWS[0])), atol=0.51)


def test_a_frame_of_padding_alone_does_not_decide_the_range_of_the_others() -> None:
    values = VALUES.copy()
    values[1] = 4095
    found = decoded(cine(values, PixelPaddingValue=4095))
    low, high = int(values[[0, 2]].min()), int(values[[0, 2]].max())
    assert {image.window for image in found} == {Window("minmax", (low + high) / 2, float(high - low))}
    (alone,) = decoded(dicom(values[1], PixelPaddingValue=4095))
    assert alone.window == Window("minmax", 4095.0, 0.0)


def test_monochrome1_is_inverted_after_the_window_of_each_frame() -> None:
    groups = [group(*macros) for macros in zip(RESCALES, WINDOWS, strict=True)]
    plain, inverted = decoded(enhanced(groups)), decoded(enhanced(groups, PhotometricInterpretation="MONOCHROME1"))
    for one, other in zip(plain, inverted, strict=True):
        np.testing.assert_array_equal(other.pixels, 255 - one.pixels)


def test_of_many_frames_each_that_is_taken_has_the_window_of_its_own_group() -> None:
    values = VALUES[:1].repeat(100, axis=0)
    dataset = pydicom.dcmread(io.BytesIO(cine(values)))
    dataset.PerFrameFunctionalGroupsSequence = [
        group(voi=item(WindowCenter=n, WindowWidth=4000)) for n in range(1, 101)
    ]
    stream = io.BytesIO()
    dataset.save_as(stream)
    for image in decoded(stream.getvalue()):
        assert image.window == Window("linear", float(image.part[-4:]), 4000.0)


@pytest.mark.parametrize(
    ("macros", "message"),
    [
        (group(item(RescaleSlope="1e308", RescaleIntercept="1e308")), "rescale of the DICOM file gives no numbers"),
        (group(voi=item(VOILUTSequence=[table(np.arange(64), 0, 40)])), "lookup table of the DICOM file"),
        (group(voi=item(VOILUTSequence=[item(LUTDescriptor=[64, 0, 16])])), "damaged or cut short"),
        (group(voi=item(WindowCenter="1", WindowWidth=[])), ""),
    ],
)
def test_a_broken_group_is_refused_with_a_remedy_or_left_out(macros: pydicom.Dataset, message: str) -> None:
    data = enhanced([group(), macros, group()])
    if not message:
        assert len({image.window for image in decoded(data)}) == 1
        return
    with pytest.raises(InvalidArgument, match=message) as caught:
        decoded(data)
    assert caught.value.remedy
