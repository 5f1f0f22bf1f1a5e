"""Files that are small and would become large, or that lie about what they hold; made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from tests.support.pictures import dicom, picture, png

LEVELS = np.arange(1024, dtype=np.uint16).reshape(32, 32)
_DEFLATED = b"1.2.840.10008.1.2.1.99"


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A file of another kind than PNG."""
    target = io.BytesIO()
    image.save(target, format=kind, **options)
    return target.getvalue()


def compressed(frame: bytes, syntax: str, rows: int, columns: int, bits: int = 8) -> bytes:
    """A DICOM file around a frame that is compressed already, whatever its header says of it."""
    dataset = pydicom.dcmread(io.BytesIO(dicom(LEVELS)))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    return _written(dataset)


def run_length(*segments: bytes, starts: tuple[int, ...] = ()) -> bytes:
    """A run-length encoded frame; `starts` where its header lies about the segments."""
    told = starts or tuple(64 + sum(map(len, segments[:i])) for i in range(len(segments)))
    return struct.pack("<16L", len(told), *told, *[0] * (15 - len(told))) + b"".join(segments)


def runs(n_bytes: int) -> bytes:
    """Zeros, 128 of them in two bytes."""
    return b"\x81\0" * (n_bytes // 128)


def deflated(plain: bytes, n_zeros: int = 0) -> bytes:
    """The same DICOM file, deflated, and behind it so many zeros."""
    body = plain[plain.index(b"\x08\x00\x16\x00UI") :]
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    syntax = struct.pack("<HH2sH", 2, 0x10, b"UI", len(_DEFLATED)) + _DEFLATED
    packed = packer.compress(body) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(n_zeros >> 20))
    return b"\0" * 128 + b"DICM" + syntax + packed + packer.flush()


def nested(depth: int) -> bytes:
    """A DICOM file with sequences in sequences."""
    opened = b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    plain = dicom(LEVELS)
    at = plain.index(b"\x10\x00\x10\x00PN")
    return plain[:at] + opened * depth + closed * depth + plain[at:]


def with_frames(text: bytes) -> bytes:
    """A DICOM file whose NumberOfFrames is this text, of even length."""
    element = b"\x28\x00\x08\x00IS" + struct.pack("<H", len(text)) + text
    return dicom(LEVELS).replace(b"\x28\x00\x10\x00US", element + b"\x28\x00\x10\x00US", 1)


def png_of_zeros(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG of one bit a pixel, with other chunks before its pixels."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    body = _chunk(b"IDAT", zlib.compress(bytes((width + 7) // 8 + 1) * height, 9))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + body + _chunk(b"IEND", b"")


def profile(n_bytes: int) -> bytes:
    """A colour profile that inflates to so many zeros."""
    return _chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(n_bytes), 1))


def texts(n: int, n_bytes: int) -> bytes:
    """Texts that inflate to so many zeros each."""
    return b"".join(_chunk(b"zTXt", b"k%d\0\0" % i + zlib.compress(bytes(n_bytes), 1)) for i in range(n))


def tiff(body: bytes, **tags: tuple[int, int, int, int] | None) -> bytes:
    """A grey TIFF of 64 x 64 with tags (number, type, count, value) of its own, or without; its pixels are at byte 200."""
    known = {
        "width": (256, 4, 1, 64), "height": (257, 4, 1, 64), "bits": (258, 3, 1, 8), "packing": (259, 3, 1, 1),
        "meaning": (262, 3, 1, 1), "offset": (273, 4, 1, 200), "rows": (278, 4, 1, 64), "bytes": (279, 4, 1, 4096),
    }  # fmt: skip
    entries = sorted(filter(None, (known | tags).values()))
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    start = b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)
    return start.ljust(200, b"\0") + body


def jpeg_that_claims(width: int, height: int) -> bytes:
    """A small JPEG whose header says another size."""
    plain = saved(Image.fromarray(picture(0)), "JPEG")
    return plain.replace(struct.pack(">BHH", 8, 32, 32), struct.pack(">BHH", 8, height, width))


def j2k_that_claims(width: int, height: int) -> bytes:
    """A small JPEG 2000 codestream whose header says another size."""
    plain = saved(Image.fromarray(picture(0)), "JPEG2000", no_jp2=True)
    return plain.replace(struct.pack(">II", 32, 32), struct.pack(">II", width, height))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _written(dataset: pydicom.Dataset) -> bytes:
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


#: Files that are refused before they take memory, by what is wrong with them.
REFUSED: dict[str, Callable[[], bytes]] = {
    "a run-length picture of 4 gigapixels": lambda: compressed(
        run_length(runs(64_000_000)), RLELossless, 65535, 65535
    ),
    "runs that are longer than the picture": lambda: compressed(run_length(runs(64_000_000)), RLELossless, 64, 64),
    "fifteen segments that are one": lambda: compressed(
        run_length(runs(4096), starts=(64,) * 15), RLELossless, 64, 64
    ),
    "a header of 4 gigapixels": lambda: dicom(LEVELS, Rows=65535, Columns=65535),
    "a deflated file of 600 MB": lambda: deflated(dicom(LEVELS), 600_000_000),
    "a deflated file cut short": lambda: deflated(dicom(LEVELS))[:-30],
    "a deflated header of 4 gigapixels": lambda: deflated(dicom(LEVELS, Rows=65535, Columns=65535)),
    "a JPEG larger than its DICOM header says": lambda: compressed(
        saved(Image.new("L", (9000, 7000)), "JPEG"), JPEGBaseline8Bit, 32, 32
    ),
    "a JPEG smaller than its DICOM header says": lambda: compressed(
        saved(Image.fromarray(picture(0)), "JPEG"), JPEGBaseline8Bit, 8000, 8000
    ),
    "a JPEG 2000 larger than its DICOM header says": lambda: compressed(
        saved(Image.new("L", (3000, 3000)), "JPEG2000"), JPEG2000Lossless, 32, 32
    ),
    "a JPEG 2000 of 64 megapixels in a kilobyte": lambda: compressed(
        j2k_that_claims(8000, 8000), JPEG2000Lossless, 8000, 8000
    ),
    "fewer pixels than the header says": lambda: dicom(LEVELS, Rows=40),
    "more pixels than the header says": lambda: dicom(LEVELS, Rows=20),
    "two numbers of frames": lambda: with_frames(b"1\\2 "),
    "a number of frames that is none": lambda: with_frames(b"abc "),
    "a negative number of frames": lambda: with_frames(b"-1"),
    "a billion frames": lambda: with_frames(b"1000000000"),
    "samples that nobody has": lambda: dicom(LEVELS, SamplesPerPixel=60000),
    "bits that nobody has": lambda: dicom(LEVELS, BitsAllocated=12),
    "more bits than there are": lambda: dicom(LEVELS, BitsStored=99),
    "no rows": lambda: dicom(LEVELS, Rows=None),
    "sequences nested 20,000 deep": lambda: nested(20_000),
    "a PNG of 400 megapixels": lambda: png_of_zeros(20_000, 20_000),
    "a PNG with a colour profile of 100 MB": lambda: png_of_zeros(64, 64, profile(100_000_000)),
    "a PNG with 90 MB of text": lambda: png_of_zeros(64, 64, texts(100, 900_000)),
    "a JPEG of 4 gigapixels": lambda: jpeg_that_claims(65500, 65500),
    "a JPEG of 64 megapixels in a kilobyte": lambda: jpeg_that_claims(7999, 7999),
    "a TIFF of 10 gigapixels": lambda: tiff(b"", width=(256, 4, 1, 100_000), height=(257, 4, 1, 100_000)),
    "a TIFF with huge tiles": lambda: tiff(
        bytes(4096), offset=None, rows=None, bytes=None,
        a=(322, 4, 1, 1 << 30), b=(323, 4, 1, 1 << 30), c=(324, 4, 1, 200), d=(325, 4, 1, 100),
    ),
    "a picture that is thinner than a hair": lambda: png(np.tile(picture(0)[:16], (1, 1000))),
}  # fmt: skip
