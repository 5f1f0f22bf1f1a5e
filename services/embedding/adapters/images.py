"""PNG, JPEG and TIFF with Pillow: bytes in, 8-bit pixels out; and the one form in which images are stored.

Grey of more than 8 bits, and of floating point, is scaled by its own minimum and maximum (the file does not
say which range it uses), and the range is recorded. Printing colours become RGB (`adapters.cmyk`). Everything
but the pixels is dropped; the orientation that a camera noted is applied first.
"""

from __future__ import annotations

import io
import warnings
import zlib

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from services.embedding.adapters.cmyk import rgb_of_cmyk
from services.embedding.domain import structure
from services.embedding.domain.depth import Depth, DepthForm, to_depth
from services.embedding.domain.images import (
    MOST_PIXELS,
    DecodedImage,
    Quarantined,
    drop_equal_channels,
    reason_of_gaps,
    require_few_pixels,
    stretch_min_max,
    too_large,
)
from shared.errors import InvalidArgument, MedqError
from shared.rows.images import Window

#: A BigTIFF whose numbers are big-endian; Pillow reads the little-endian ones alone.
_BIG_ENDIAN_BIGTIFF = b"MM\0+"
MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", _BIG_ENDIAN_BIGTIFF)
FORMATS = ("PNG", "JPEG", "TIFF")
#: Of 8 x 8 pixels a compressed picture takes a bit at least; decoders fill what is missing with grey.
MOST_PIXELS_A_BYTE = 512
_DEEP_GREY = ("I", "F")
#: zlib's level. The sixth writes an eighth less and takes four times as long, which is most of the time of an ingest. Another
#: level gives the same picture another id, as that is the digest of its PNG.
_PNG_LEVEL = 1


def decode_raster(data: bytes) -> DecodedImage | Quarantined:
    """Read a PNG, JPEG, TIFF or BigTIFF.

    Raises:
        InvalidArgument: damaged, cut short, too large, of several pages, or a BigTIFF of big-endian numbers.
    """
    if data.startswith(_BIG_ENDIAN_BIGTIFF):
        remedy = "Save it with little-endian numbers (for instance with `tiffcp -L`), or as TIFF or PNG."
        raise InvalidArgument("The numbers of the BigTIFF file are big-endian, which is not read here.", remedy=remedy)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check(image, len(data))
            return _decode(image)
    except (MedqError, MemoryError):  # memory is no fault of the file alone: whoever set the limit says so
        raise
    except Image.DecompressionBombError:
        raise too_large() from None
    except Exception as error:  # a broken file may raise nearly anything in a decoder
        raise InvalidArgument("The image file is damaged or cut short.", remedy="Copy or export it again.") from error


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """The stored form: PNG, grey or RGB, no metadata; the same pixels give the same bytes.

    Args:
        pixels: (h, w) or (h, w, 3).
    """
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, format="PNG", compress_level=_PNG_LEVEL)
    return target.getvalue()


def read_png(data: bytes) -> NDArray[np.uint8]:
    """The pixels of the stored form as (h, w, 1) or (h, w, 3).

    Raises:
        InvalidArgument: Larger than anything that is stored.
    """
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        require_few_pixels(image.width, image.height)
        pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def encode_depth(depth: Depth, window: Window | None) -> DepthForm:
    """The stored form of grey levels: a PNG of 16-bit grey, no metadata, and what the levels are worth."""
    target = io.BytesIO()
    # Of 16 bits little comes again but runs: to look for nothing else is a quarter faster, and no larger.
    Image.fromarray(depth.levels).save(target, format="PNG", compress_level=_PNG_LEVEL, compress_type=zlib.Z_RLE)
    return DepthForm(target.getvalue(), depth.low, depth.step, depth.is_inverted, depth.unit, window)


def read_levels(data: bytes) -> NDArray[np.uint16]:
    """The levels of their stored form, (h, w).

    Raises:
        InvalidArgument: Larger than anything that is stored, or no picture of 16-bit grey.
    """
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        require_few_pixels(image.width, image.height)
        if image.mode != "I;16":
            raise InvalidArgument("The picture has no grey levels of 16 bits.", remedy="Ingest the image again.")
        return np.asarray(image)


def perceptual_hash(pixels: NDArray[np.uint8]) -> str:
    """The 64-bit perceptual hash (DCT, Zauner 2010, as `imagehash.phash`), 16 hex digits."""
    return str(imagehash.phash(Image.fromarray(pixels)))


def structure_hash(pixels: NDArray[np.uint8]) -> str:
    """The hash of coarse structure (`domain.structure`), 104 hex digits."""
    grey = Image.fromarray(pixels).convert("L").resize((structure.SIDE, structure.SIDE), Image.Resampling.BILINEAR)
    return structure.structure_hash(np.asarray(grey))


def _check(image: Image.Image, n_bytes: int) -> None:
    require_few_pixels(image.width, image.height)
    if image.format == "JPEG" and image.width * image.height > MOST_PIXELS_A_BYTE * n_bytes:
        raise InvalidArgument("The JPEG file holds less than its header says.", remedy="Copy or export it again.")
    # `n_frames` of a TIFF would walk through all its pages, of which a file may name millions.
    if getattr(image, "is_animated", False):
        raise InvalidArgument("The file holds several images.", remedy="Save each page as a file of its own.")


def _decode(image: Image.Image) -> DecodedImage | Quarantined:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(_DEEP_GREY):
        values = np.asarray(upright, dtype=np.float64)
        if reason := reason_of_gaps(values):
            return Quarantined(reason, "Write numbers where the picture is, and export it again.")
        pixels, window = stretch_min_max(values)
        return DecodedImage(pixels, window, depth=to_depth(np.asarray(upright)))
    if upright.mode in ("1", "L"):
        return DecodedImage(np.asarray(upright.convert("L")))
    if upright.mode == "CMYK":
        shown, note = rgb_of_cmyk(upright)
        return DecodedImage(drop_equal_channels(np.asarray(shown)), note=note)
    if upright.has_transparency_data:  # what shines through is black
        opaque = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", opaque.size, (0, 0, 0, 255)), opaque)
    return DecodedImage(drop_equal_channels(np.asarray(upright.convert("RGB"))))


def limit_pillow() -> None:
    """Have Pillow itself refuse more than `MOST_PIXELS` wherever it opens a file in this process, below pydicom too."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # twice as many are an error, more than that a warning
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
