"""BigTIFF, which has 64-bit offsets: read where its numbers are little-endian, refused with a way out where not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.embedding.adapters.child import Limits
from services.embedding.adapters.formats import read_images
from services.embedding.adapters.images import read_png
from services.embedding.adapters.readers import ImageReaders
from services.embedding.domain.images import StoredForm
from shared.errors import InvalidArgument
from shared.rows.images import Window
from tests.support.bombs import saved
from tests.support.pictures import picture

KEY = b"a key for tests only"
GREY = picture(3)
COLOURED = np.stack([picture(0), picture(1), picture(2)], axis=2)


def big(image: Image.Image, **options: object) -> bytes:
    data = saved(image, "TIFF", big_tiff=True, **options)
    assert data.startswith(b"II+\0")
    return data


def by_hand(order: str, width: int = 32, height: int = 32, next_page: int = 0, is_deflated: bool = False) -> bytes:
    """A grey BigTIFF of one strip in either byte order, written by its specification."""
    strip, packing = (zlib.compress(GREY.tobytes()), 8) if is_deflated else (GREY.tobytes(), 1)
    tags = (
        (256, width),
        (257, height),
        (258, 8),
        (259, packing),
        (262, 1),
        (273, 400),
        (278, height),
        (279, len(strip)),
    )
    mark = {"<": b"II", ">": b"MM"}[order]
    head = mark + struct.pack(f"{order}HHHQ", 43, 8, 0, 16) + struct.pack(f"{order}Q", len(tags))
    entries = b"".join(struct.pack(f"{order}HHQQ", number, 16, 1, value) for number, value in tags)
    return (head + entries + struct.pack(f"{order}Q", next_page)).ljust(400, b"\0") + strip


def stored(data: bytes) -> StoredForm:
    (form,) = read_images(data, KEY)
    assert isinstance(form, StoredForm)
    return form


@pytest.mark.parametrize("pixels", [GREY, COLOURED])
def test_a_bigtiff_has_the_pixels_and_the_id_of_the_same_picture_as_png(pixels: NDArray[np.uint8]) -> None:
    image = Image.fromarray(pixels)
    assert stored(big(image)).png == stored(saved(image, "PNG")).png


@pytest.mark.parametrize("is_deflated", [False, True])
def test_one_written_by_its_specification_is_read(is_deflated: bool) -> None:
    np.testing.assert_array_equal(read_png(stored(by_hand("<", is_deflated=is_deflated)).png)[..., 0], GREY)


def test_deep_grey_of_a_bigtiff_is_scaled_as_that_of_a_tiff() -> None:
    form = stored(big(Image.fromarray(GREY.astype(np.uint16) * 200)))
    assert form.window == Window("minmax", (int(GREY.min()) + int(GREY.max())) * 100.0, float(np.ptp(GREY)) * 200)


def test_big_endian_numbers_are_refused_with_a_way_out() -> None:
    with pytest.raises(InvalidArgument, match="BigTIFF") as caught:
        read_images(by_hand(">"), KEY)
    assert "tiffcp -L" in caught.value.remedy


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (by_hand("<", width=100_000, height=100_000), "too large"),
        (by_hand("<", width=2**40), "too large|damaged"),
        (by_hand("<")[:-300], "damaged"),
        (by_hand("<")[:60], "damaged"),
        (by_hand("<", next_page=16 + 2**50), "several images"),
    ],
)
def test_one_that_is_damaged_or_promises_too_much_is_refused_in_little_memory(data: bytes, message: str) -> None:
    readers = ImageReaders(1, Limits(memory_mib=200, seconds=60))
    try:
        with pytest.raises(InvalidArgument, match=message) as caught:
            readers.read(data, KEY)
    finally:
        readers.close()
    assert caught.value.remedy


def test_a_bigtiff_of_several_pages_is_refused() -> None:
    page = Image.fromarray(GREY)
    with pytest.raises(InvalidArgument, match="several images"):
        read_images(big(page, save_all=True, append_images=[page]), KEY)


def test_the_texts_of_a_bigtiff_are_not_kept() -> None:
    data = big(Image.fromarray(GREY), description="Doe^Jane", software="Doe^Jane")
    assert data.count(b"Doe^Jane") == 2
    assert b"Doe" not in stored(data).png + repr(stored(data)).encode()
    with Image.open(io.BytesIO(stored(data).png)) as image:
        assert image.info == {}
