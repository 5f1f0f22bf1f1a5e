"""CMYK in JPEG and TIFF: by the profile of the file, or plainly, against colours worked out by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from services.embedding.adapters import cmyk
from services.embedding.adapters.formats import read_images
from services.embedding.adapters.images import read_png
from services.embedding.domain.images import StoredForm
from tests.support.bombs import saved
from tests.support.inks import ink_profile

FULL = 255
#: Inks (c, m, y, k) of four stripes, and what the plain rule makes of them: 255 (1 - ink) (1 - k).
INKS = [(0, 0, 0, 0), (FULL, 0, 0, 0), (0, 0, 0, FULL), (51, 102, 0, 128)]
PLAIN = [(255, 255, 255), (0, 255, 255), (0, 0, 0), (102, 76, 127)]


def stripes() -> Image.Image:
    """Each of `INKS` over 16 columns."""
    pixels = np.zeros((32, 64, 4), np.uint8)
    for at, inks in enumerate(INKS):
        pixels[:, 16 * at : 16 * at + 16] = inks
    return Image.fromarray(pixels, "CMYK")


def shown(data: bytes) -> tuple[NDArray[np.int64], str]:
    """The colour in the middle of each stripe, and the remark."""
    (form,) = read_images(data, b"key")
    assert isinstance(form, StoredForm)
    return read_png(form.png)[16, 8::16].astype(np.int64), form.note


@pytest.mark.parametrize(("kind", "tolerance"), [("TIFF", 1), ("JPEG", 3)])
def test_without_a_profile_each_ink_takes_its_share_of_white(kind: str, tolerance: int) -> None:
    found, note = shown(saved(stripes(), kind, **({"quality": 100, "subsampling": 0} if kind == "JPEG" else {})))
    np.testing.assert_allclose(found, PLAIN, atol=tolerance)
    assert note == ""


def test_a_jpeg_of_adobe_has_its_inks_inverted_in_the_file() -> None:
    data = saved(stripes(), "JPEG", quality=100, subsampling=0)
    marker = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"  # APP14, no colour transform
    by_adobe = data if b"Adobe" in data else data[:2] + marker + data[2:]
    found, _ = shown(by_adobe)
    np.testing.assert_allclose(found, PLAIN, atol=3)
    with Image.open(io.BytesIO(by_adobe)) as image:
        assert image.info["adobe"] == 100
        image.tile = [image.tile[0]._replace(args=("CMYK", ""))]  # the samples as they stand in the file
        assert np.asarray(image)[16, 8].min() >= 254  # paper: no ink is 255


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_with_a_profile_the_inks_have_its_colours(kind: str) -> None:
    """A press whose cyan ink is red, and whose black ink is a middle grey (L* = 50, which is 119 in sRGB)."""
    profile = ink_profile({(0, 0, 0, 0): (100, 0, 0), (1, 0, 0, 0): (54.29, 80.81, 69.89), (0, 0, 0, 1): (50, 0, 0)})
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    found, note = shown(saved(stripes(), kind, icc_profile=profile, **options))
    np.testing.assert_allclose(found[:3], [(255, 255, 255), (255, 0, 0), (119, 119, 119)], atol=4)
    assert note == ""


def test_the_profile_itself_is_not_kept() -> None:
    profile = ink_profile({(0, 0, 0, 0): (100, 0, 0)}, description=b"Doe^Jane")
    data = saved(stripes(), "TIFF", icc_profile=profile)
    (form,) = read_images(data, b"key")
    assert b"Doe^Jane" in data
    assert isinstance(form, StoredForm)
    assert b"Doe" not in form.png + repr(form).encode()


@pytest.mark.parametrize(
    "profile",
    [
        b"no profile at all",
        ink_profile({(0, 0, 0, 0): (100, 0, 0)})[:200],
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),  # of other colours
    ],
)
@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_a_profile_that_cannot_be_used_is_told_and_the_plain_rule_holds(profile: bytes, kind: str) -> None:
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    found, note = shown(saved(stripes(), kind, icc_profile=profile, **options))
    np.testing.assert_allclose(found, PLAIN, atol=3)
    assert "without its profile" in note


def test_a_profile_above_the_bound_is_not_opened() -> None:
    profile = ink_profile({(0, 0, 0, 0): (100, 0, 0), (0, 0, 0, 1): (50, 0, 0)})
    large = profile + bytes(cmyk.MOST_PROFILE_BYTES)
    found, note = shown(saved(stripes(), "TIFF", icc_profile=large))
    np.testing.assert_allclose(found, PLAIN, atol=1)
    assert "without its profile" in note
