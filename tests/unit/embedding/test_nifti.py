"""NIfTI volumes: slices against the arrays that nibabel gives; what a file promises is checked, and its texts stay in it."""

from __future__ import annotations

import gzip
import io
import struct

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from services.embedding.adapters.child import Limits
from services.embedding.adapters.formats import read_images
from services.embedding.adapters.images import read_png
from services.embedding.adapters.nifti import decode_nifti, magic_of
from services.embedding.adapters.readers import ImageReaders
from services.embedding.domain.images import DecodedImage, Quarantined, StoredForm
from shared.errors import InvalidArgument
from shared.rows.images import Window
from tests.support.pictures import nifti

KEY = b"a key for tests only"
RNG = np.random.default_rng(0)
VALUES = RNG.integers(-1000, 2000, (18, 20, 24)).astype(np.int16)
SPACINGS = (1.0, 1.0, 3.0)


def slices(data: bytes, n: int = 3) -> list[DecodedImage]:
    found = decode_nifti(data, n)
    assert all(isinstance(one, DecodedImage) for one in found)
    return [one for one in found if isinstance(one, DecodedImage)]


def expected(data: bytes, axis: int) -> NDArray[np.uint8]:
    """All slices across an axis, by nibabel's own reading."""
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image.from_bytes(data))
    values = image.get_fdata()
    values = values[..., 0] if values.ndim == 4 else values
    low, high = np.percentile(values[np.isfinite(values)], (0.5, 99.5), method="nearest")
    shown = np.rint(np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    return np.stack([np.rot90(one) for one in np.moveaxis(shown, axis, 0)])


def affine_of(axes: str, spacing: tuple[float, float, float]) -> NDArray[np.float64]:
    """An affine whose file axes run towards these directions, such as LPS."""
    order = nibabel.orientations.axcodes2ornt(axes)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(order):
        affine[int(world), axis] = sign * spacing[axis]
    return affine


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "ASL", "SLA"])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_slices_are_those_of_nibabels_canonical_volume(axes: str, is_compressed: bool) -> None:
    data = nifti(VALUES, affine_of(axes, SPACINGS))
    world = int(nibabel.orientations.axcodes2ornt(axes)[2, 0])  # where the axis of 3 mm lies once it is canonical
    across, found = expected(data, world), slices(gzip.compress(data) if is_compressed else data)
    assert [image.part for image in found] == ["#slice-0011", "#slice-0012", "#slice-0013"]
    for image in found:
        np.testing.assert_array_equal(image.pixels, across[int(image.part[-4:]) - 1])
        assert image.note == "3 of the 24 slices were taken, the central ones"
        assert (image.modality, image.patient, image.session) == ("", "", "")


def test_of_equal_spacings_the_last_axis_counts_and_a_single_slice_is_that_slice() -> None:
    assert slices(nifti(VALUES, np.eye(4)), 1)[0].pixels.shape == (20, 18)
    assert slices(nifti(VALUES, np.diag([2, 1, 2 + 1e-6, 1])), 1)[0].pixels.shape == (20, 18)
    assert slices(nifti(VALUES, np.diag([2, 1, 1, 1])), 1)[0].pixels.shape == (24, 20)
    (flat,) = slices(nifti(VALUES[:, :, :1], np.diag([5, 1, 1, 1])))
    assert (flat.pixels.shape, flat.part, flat.note) == ((20, 18), "", "")
    (plane,) = slices(nifti(VALUES[:, :, 0], np.diag([5, 1, 1, 1])))
    np.testing.assert_array_equal(plane.pixels, flat.pixels)


def test_the_window_is_that_of_the_finite_values_of_the_volume() -> None:
    values = VALUES.astype(np.float32)
    values[0, 0, :] = np.nan
    values[1, 1, 11] = np.inf
    values[2, 2, 11] = -np.inf
    data = nifti(values, np.eye(4))
    found = slices(data, 1)[0]
    low, high = np.percentile(values[np.isfinite(values)].astype(np.float64), (0.5, 99.5), method="nearest")
    assert found.window == Window("linear_exact", (low + high) / 2, high - low)
    np.testing.assert_array_equal(np.rot90(found.pixels, -1)[[0, 1, 2], [0, 1, 2]], [0, 255, 0])
    np.testing.assert_allclose(
        slices(nifti(VALUES, np.eye(4), slope=2.0, intercept=-7.0), 1)[0].pixels,
        slices(nifti(VALUES, np.eye(4)), 1)[0].pixels,
        atol=1,
    )


def test_scale_and_sign_of_the_scale_are_applied() -> None:
    for slope in (2.0, -2.0):
        data = nifti(VALUES, np.eye(4), slope=slope, intercept=100.0)
        np.testing.assert_allclose(slices(data, 1)[0].pixels, expected(data, 2)[11], atol=1)


def test_a_volume_that_is_nearly_all_of_one_value_is_shown_in_its_whole_range() -> None:
    mask = np.zeros((40, 40, 40), np.uint8)
    mask[20, 20:30, 18:22] = 4
    found = slices(nifti(mask, np.eye(4)), 1)[0]
    assert found.window == Window("minmax", 2.0, 4.0)
    assert set(np.unique(found.pixels)) == {0, 255}


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">i2", ">f4"])
def test_each_kind_of_number_is_read_in_both_byte_orders(kind: str) -> None:
    data = nifti((VALUES % 100).astype(kind), np.eye(4))
    for image in slices(data):
        np.testing.assert_allclose(image.pixels, expected(data, 2)[int(image.part[-4:]) - 1], atol=1)


def test_of_several_volumes_the_first_is_taken_and_the_others_are_counted() -> None:
    series = np.stack([VALUES, VALUES // 2, VALUES // 3], axis=-1)
    data = nifti(series, np.eye(4))
    found = slices(gzip.compress(data))
    np.testing.assert_array_equal(found[1].pixels, expected(data, 2)[11])
    assert found[1].note == "3 of the 24 slices were taken, the central ones; the first of 3 volumes was taken"


def test_colours_stay_as_they_are() -> None:
    colours = RNG.integers(0, 256, (18, 20, 3, 3)).astype(np.uint8)
    packed = np.ascontiguousarray(colours).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    found = slices(nifti(packed, np.eye(4)))
    assert len(found) == 3
    for at, image in enumerate(found):
        np.testing.assert_array_equal(image.pixels, np.rot90(colours[:, :, at]))
        assert image.window is None


def test_nifti_2_is_read_too() -> None:
    image = nibabel.Nifti2Image(VALUES, np.eye(4))
    np.testing.assert_array_equal(slices(image.to_bytes())[0].pixels, slices(nifti(VALUES, np.eye(4)))[0].pixels)


def test_slices_without_numbers_and_blank_ones_are_quarantined_one_by_one() -> None:
    values = VALUES.astype(np.float32)
    values[:, :, 10] = np.nan
    values[:, :, 12] = 5.0
    found = read_images(nifti(values, np.eye(4)), KEY)
    assert [type(one) for one in found] == [Quarantined, StoredForm, Quarantined]
    assert [one.part for one in found] == ["#slice-0011", "#slice-0012", "#slice-0013"]
    (whole,) = read_images(nifti(np.full((18, 18, 18), np.nan, np.float32), np.eye(4)), KEY)
    assert isinstance(whole, Quarantined)
    assert whole.part == ""


def changed(data: bytes, offset: int, form: str, *values: float) -> bytes:
    packed = struct.pack(form, *values)
    return data[:offset] + packed + data[offset + len(packed) :]


PLAIN = nifti(VALUES, np.eye(4))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PLAIN[:-10], "damaged or cut short"),
        (gzip.compress(PLAIN)[:-2000], "damaged or cut short"),
        (PLAIN[:400], "damaged or cut short"),
        (changed(PLAIN, 344, "4s", b"ni1\0"), "in another file"),
        (nifti(VALUES.astype(np.complex64), np.eye(4)), "complex"),
        (changed(PLAIN, 40, "<8h", 3, 30000, 30000, 30000, 1, 1, 1, 1), "too large"),
        (changed(PLAIN, 40, "<8h", 3, 18, 0, 24, 1, 1, 1, 1), "no picture"),
        (changed(PLAIN, 40, "<8h", 3, 18, -20, 24, 1, 1, 1, 1), "no picture"),
        (changed(PLAIN, 40, "<8h", 4, 18, 20, 24, 0, 1, 1, 1), "no picture"),
        (changed(PLAIN, 40, "<8h", 1, 8640, 1, 1, 1, 1, 1, 1), "no picture"),
        (changed(PLAIN, 108, "<f", 1e30), "too large"),
        (changed(PLAIN, 108, "<f", -1e9), "damaged|no picture"),
        (changed(PLAIN, 108, "<f", float("nan")), "damaged"),
        (changed(PLAIN, 70, "<h", 1536), "kind|damaged"),  # a platform knows this kind of number, or does not
        (changed(PLAIN, 70, "<h", 2304), "kind"),
        (changed(PLAIN, 70, "<h", 999), "damaged"),
        (changed(PLAIN, 280, "<4f", float("nan"), 0, 0, 0), "axes"),
        (changed(PLAIN, 280, "<12f", *[0.0] * 12), "axes"),
        (changed(PLAIN, 112, "<2f", 1e38, float("inf")), "damaged"),
    ],
)
def test_what_cannot_be_read_says_why_and_what_to_do(data: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        read_images(data, KEY)
    assert caught.value.remedy


def test_a_gzip_bomb_is_inflated_no_further_than_its_first_volume() -> None:
    """1 GiB of zeros behind a small volume, and a header that promises as much, with memory for neither."""
    zeros = gzip.compress(bytes(1 << 20)) * 1024
    readers = ImageReaders(1, Limits(memory_mib=400, seconds=60))
    series = changed(PLAIN, 40, "<8h", 4, 18, 20, 24, 30000, 1, 1, 1)
    promising = changed(PLAIN, 40, "<8h", 3, 1000, 1000, 1000, 1, 1, 1, 1)
    try:
        assert len(readers.read(gzip.compress(series) + zeros, KEY)) == 3
        with pytest.raises(InvalidArgument, match="too large"):
            readers.read(gzip.compress(promising) + zeros, KEY)
        with pytest.raises(InvalidArgument, match="not an image"):
            readers.read(zeros, KEY)
    finally:
        readers.close()


def test_the_texts_of_a_header_are_neither_stored_nor_told() -> None:
    image = nibabel.Nifti1Image(VALUES, np.eye(4))
    for name, length in (("descrip", 80), ("db_name", 18), ("aux_file", 24), ("intent_name", 16), ("data_type", 10)):
        image.header[name] = b"Doe^Jane"[:length]
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Doe^Jane"))
    data = image.to_bytes()
    assert data.count(b"Doe^Jane") == 6
    for one in read_images(data, KEY):
        assert isinstance(one, StoredForm)
        assert b"Doe" not in repr(one).encode() + one.png
        assert read_png(one.png).shape[2] == 1
    with pytest.raises(InvalidArgument) as caught:
        read_images(data[:-100], KEY)
    assert "Doe" not in str(caught.value)


def test_a_file_is_known_by_its_content() -> None:
    assert magic_of(PLAIN) == magic_of(gzip.compress(PLAIN)) == b"n+1\0"
    assert magic_of(b"") == magic_of(gzip.compress(b"text")) == magic_of(b"\x1f\x8b nonsense") == b""
    stream = io.BytesIO(gzip.compress(PLAIN))
    assert magic_of(stream.getvalue()[:50]) == b""
