import io

import imagehash
import numpy as np
import pytest
from PIL import Image

from services.embedding.adapters.formats import decode_images, read_images
from services.embedding.adapters.images import decode_raster, encode_png, perceptual_hash, read_png, structure_hash
from services.embedding.domain.identity import keyed_hash
from services.embedding.domain.images import Quarantined, StoredForm, apply_window, stretch_min_max
from shared.errors import InvalidArgument
from shared.rows.images import Window
from shared.rows.vocabulary import name_modality
from studies.images.degradations import degrade
from studies.images.optics import to_bytes
from studies.images.phantoms import make_phantom
from tests.support.bombs import png_of_zeros, saved
from tests.support.pictures import dicom, picture

COLOURED = np.stack([picture(0), picture(1), picture(2)], axis=2)


def test_the_stored_form_is_the_same_bytes_without_metadata_and_reads_back() -> None:
    for pixels in (picture(0), COLOURED):
        data = encode_png(pixels)
        assert data == encode_png(pixels.copy())
        np.testing.assert_array_equal(read_png(data).reshape(pixels.shape), pixels)
        with Image.open(io.BytesIO(data)) as image:
            assert image.info == {}


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_and_colour_files_keep_their_pixels(kind: str) -> None:
    for pixels in (picture(0), COLOURED):
        np.testing.assert_array_equal(decode_raster(saved(Image.fromarray(pixels), kind)).pixels, pixels)


def test_jpeg_is_read_and_its_metadata_dropped() -> None:
    exif = Image.Exif()
    exif[0x010E] = "Jane Doe"
    image = decode_raster(saved(Image.fromarray(COLOURED), "JPEG", exif=exif, quality=95))
    assert image.pixels.shape == COLOURED.shape
    assert b"Doe" not in encode_png(image.pixels)


def test_the_noted_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    data = saved(Image.fromarray(picture(0)), "TIFF", exif=exif)
    np.testing.assert_array_equal(decode_raster(data).pixels, np.rot90(picture(0), -1))


def test_deep_grey_is_scaled_by_its_own_range_which_is_noted() -> None:
    deep = (picture(0).astype(np.uint16) * 4) + 100
    image = decode_raster(saved(Image.fromarray(deep), "PNG"))
    low, high = int(deep.min()), int(deep.max())
    assert image.window == Window("minmax", (low + high) / 2, float(high - low))
    np.testing.assert_array_equal(image.pixels, np.rint((deep - low) / (high - low) * 255).astype(np.uint8))


def test_colour_of_equal_channels_is_grey_and_what_shines_through_is_black() -> None:
    grey = Image.fromarray(picture(0))
    np.testing.assert_array_equal(decode_raster(saved(grey.convert("RGB"), "PNG")).pixels, picture(0))
    clear = np.dstack([COLOURED, np.zeros_like(picture(0))])
    assert not decode_raster(saved(Image.fromarray(clear), "PNG")).pixels.any()


@pytest.mark.parametrize("mode", ["P", "1", "CMYK", "LA"])
def test_other_modes_become_grey_or_colour(mode: str) -> None:
    pixels = decode_raster(saved(Image.fromarray(COLOURED).convert(mode), "TIFF")).pixels
    assert pixels.dtype == np.uint8
    assert pixels.shape[:2] == (32, 32)


def test_a_file_of_several_pages_is_refused() -> None:
    page = Image.fromarray(picture(0))
    data = saved(page, "TIFF", save_all=True, append_images=[page])
    with pytest.raises(InvalidArgument, match="several images"):
        decode_raster(data)


@pytest.mark.parametrize("data", [b"", b"plain text", b"GIF89a", encode_png(picture(0))[:-60], b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_whole_image_is_refused_with_a_remedy(data: bytes) -> None:
    with pytest.raises(InvalidArgument) as caught:
        decode_images(data, b"key")
    assert caught.value.remedy


def test_the_perceptual_hash_is_that_of_imagehash_and_survives_jpeg() -> None:
    large = np.kron(picture(0), np.ones((4, 4), np.uint8))
    assert perceptual_hash(large) == str(imagehash.phash(Image.fromarray(large)))
    again = decode_raster(saved(Image.fromarray(large), "JPEG", quality=60)).pixels
    assert (int(perceptual_hash(large), 16) ^ int(perceptual_hash(again), 16)).bit_count() <= 4


def test_a_linear_window_by_hand() -> None:
    # PS3.3 C.11.2.1.2.1 with center 2048 and width 4096: 0 is black, 4095 is white.
    levels = apply_window(np.array([-5.0, 0.0, 2047.5, 4095.0, 9000.0]), Window("linear", 2048.0, 4096.0))
    assert levels.tolist() == [0, 0, 128, 255, 255]


def test_flat_and_not_finite_values_stretch_to_black() -> None:
    flat, window = stretch_min_max(np.full((2, 2), 7.0))
    assert (flat.max(), window) == (0, Window("minmax", 7.0, 0.0))
    assert stretch_min_max(np.array([[0.0, np.nan, np.inf, 2.0]]))[0].tolist() == [[0, 0, 255, 255]]
    with pytest.raises(InvalidArgument):
        stretch_min_max(np.array([[np.nan]]))


def test_keyed_hashes_keep_kinds_and_keys_apart() -> None:
    hashes = {keyed_hash(key, kind, "1") for key in (b"a", b"b") for kind in ("patient", "session")}
    assert len(hashes) == 4
    assert keyed_hash(b"a", "patient", " 1 ") == keyed_hash(b"a", "patient", "1")
    assert keyed_hash(b"a", "patient", "  ") == ""


def test_modalities_are_named_as_people_write_them() -> None:
    assert [name_modality(text) for text in ("MRI", " mr ", "CT", "Histology", "sonar", "")] == [
        "mri", "mri", "ct", "histopathology", "unknown", "unknown",
    ]  # fmt: skip


def test_an_image_of_too_many_pixels_is_refused_as_such() -> None:
    data = saved(Image.new("1", (20_000, 20_000)), "PNG")
    with pytest.raises(InvalidArgument, match="too large"):
        decode_raster(data)


def test_the_structure_hash_outlasts_what_the_perceptual_hash_does_not() -> None:
    clean = make_phantom("mri", 5)
    rng = np.random.default_rng(0)
    degraded = (("inhomogeneity", "severe"), ("noise", "severe"), ("aliasing", "mild"))
    twins = [degrade(clean, "mri", name, severity, rng) for name, severity in degraded]
    others = [make_phantom("mri", seed) for seed in range(6, 16)]
    first, *rest = (structure_hash(to_bytes(image)) for image in (clean, *twins, *others))
    similarities = [1 - 2 * (int(first, 16) ^ int(other, 16)).bit_count() / 416 for other in rest]
    assert min(similarities[:3]) > 0.55 > max(similarities[3:])


def test_blank_images_have_one_structure_hash_of_full_length() -> None:
    hashes = {structure_hash(np.full((40, 50), level, dtype=np.uint8)) for level in (0, 90, 255)}
    assert hashes == {"0" * 104}


@pytest.mark.parametrize(
    "data",
    [
        saved(Image.new("L", (32, 32), 90), "PNG"),
        saved(Image.new("RGB", (32, 32), (1, 2, 3)), "JPEG"),
        saved(Image.fromarray(np.full((32, 32), 700, np.uint16)), "TIFF"),
        saved(Image.fromarray(np.dstack([COLOURED, np.zeros_like(picture(0))])), "PNG"),  # shines through everywhere
        dicom(np.full((32, 32), 5, np.uint16)),
        dicom(np.arange(1024, dtype=np.uint16).reshape(32, 32), WindowCenter=-5000, WindowWidth=10),
        saved(Image.fromarray(np.full((32, 32), np.nan, np.float32)), "TIFF"),
        saved(Image.fromarray(np.full((32, 32), np.inf, np.float32)), "TIFF"),
        saved(
            Image.fromarray(np.where(np.arange(1024).reshape(32, 32) < 600, np.nan, picture(0)).astype(np.float32)),
            "TIFF",
        ),
    ],
)
def test_what_shows_nothing_is_quarantined_with_a_remedy(data: bytes) -> None:
    (found,) = read_images(data, b"key")
    assert isinstance(found, Quarantined)
    assert found.reason
    assert found.remedy


def test_some_background_that_is_no_number_is_black() -> None:
    values = picture(0).astype(np.float32)
    values[:8] = np.nan
    (found,) = read_images(saved(Image.fromarray(values), "TIFF"), b"key")
    assert isinstance(found, StoredForm)
    assert not read_png(found.png)[:8].any()


def test_the_stored_form_has_what_is_kept_of_an_image() -> None:
    (found,) = read_images(saved(Image.fromarray(COLOURED), "PNG"), b"key")
    assert isinstance(found, StoredForm)
    assert (found.png, found.width, found.height) == (encode_png(COLOURED), 32, 32)
    assert (found.phash, found.structure) == (perceptual_hash(COLOURED), structure_hash(COLOURED))
    assert (found.window, found.modality, found.patient, found.session) == (None, "", "", "")


def test_a_stored_form_larger_than_any_is_not_loaded() -> None:
    with pytest.raises(InvalidArgument, match="too large"):
        read_png(png_of_zeros(9000, 8000))


def test_grey_levels_are_the_same_in_parts_as_in_the_whole() -> None:
    values = np.random.default_rng(0).normal(size=(1500, 1500))
    window = Window("sigmoid", 0.1, 0.7)
    whole = 1 / (1 + np.exp(-4 * (values - 0.1) / 0.7))
    np.testing.assert_array_equal(apply_window(values, window), np.rint(whole * 255).astype(np.uint8))
