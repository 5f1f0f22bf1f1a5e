"""What a DICOM file says of its pixels, checked before any of them is decoded: sizes, compression, tables.

A header may promise anything: 65535 x 65535 pixels in a file of a megabyte, a picture inside that is larger than the header
says, runs that unroll to sixty times their length. Nothing here takes memory by what is promised. The texts of errors never
hold a value of the header.
"""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections.abc import Sequence

import pydicom
from PIL import Image
from pydicom.encaps import get_frame
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGExtended12Bit, RLELossless

from services.embedding.adapters.images import MOST_PIXELS_A_BYTE
from services.embedding.domain.images import MOST_BYTES, require_few_pixels
from shared.errors import InvalidArgument

_START = 132  # bytes: preamble and "DICM"
_PIECE = 1 << 16  # bytes that are inflated at once; they become 64 MiB at most
_SAMPLES, _BITS_ALLOCATED = (1, 3), (1, 8, 16, 32)
#: Meanings of the samples that decoding and display know, by their number.
_MEANINGS = {
    1: ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"),
    3: ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"),
}
_TABLE_BITS = range(8, 17)
_JPEG = b"\xff\xd8\xff"  # JPEG-LS, too
_JPEG_2000 = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")  # bare and in a file
#: Markers of a JPEG (ISO/IEC 10918-1, table B.1) and JPEG-LS (ISO/IEC 14495-1, C.2.2) frame; others hold tables and remarks.
_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA


def inflated(data: bytes) -> bytes:
    """The file as it is, or where it is deflated (PS3.5 A.5) the same file without compression.

    Raises:
        InvalidArgument: Larger than `MOST_BYTES`, or cut short.
    """
    source = io.BytesIO(data)
    source.seek(_START)
    meta = read_dataset(source, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, *_: tag.group != 2)
    if meta.get("TransferSyntaxUID", None) != DeflatedExplicitVRLittleEndian:
        return data
    uid = str(ExplicitVRLittleEndian).encode() + b"\0"
    plain = bytearray(data[:_START] + struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid)
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    while not unpacker.eof and (piece := source.read(_PIECE)):
        plain += unpacker.decompress(piece)
        if len(plain) > MOST_BYTES:
            remedy = f"Keep it below {MOST_BYTES >> 20} MiB."
            raise InvalidArgument("The deflated DICOM file is too large once it is inflated.", remedy=remedy)
    if not unpacker.eof:
        raise InvalidArgument("The deflated DICOM file is cut short.", remedy="Copy or export it again.")
    return bytes(plain)


def check_header(dataset: pydicom.Dataset) -> None:
    """Refuse a file by what its header says of the pixels.

    Raises:
        InvalidArgument: No pixels, several frames, too many or other pixels than the file holds, or compressed in a way
            that cannot be read here.
    """
    if "PixelData" not in dataset:
        if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
            raise InvalidArgument(
                "The pixels of the DICOM file are floating point.",
                remedy="Export them as whole numbers with a rescale.",
            )
        remedy = "Copy it again if it was cut short; structured reports and segmentations are not images."
        raise InvalidArgument("The DICOM file holds no pixels.", remedy=remedy)
    n_frames = _whole(dataset, "NumberOfFrames", default=1)
    if n_frames > 1:
        raise InvalidArgument(
            "The DICOM file holds several frames.", remedy="Export the frames that matter as single-frame files."
        )
    rows, columns = _whole(dataset, "Rows"), _whole(dataset, "Columns")
    samples, allocated = _whole(dataset, "SamplesPerPixel"), _whole(dataset, "BitsAllocated")
    require_few_pixels(columns, rows)
    stored = _whole(dataset, "BitsStored")
    if n_frames < 1 or samples not in _SAMPLES or allocated not in _BITS_ALLOCATED or not 1 <= stored <= allocated:
        raise _unusable()
    if dataset.get("PhotometricInterpretation", None) not in _MEANINGS[samples]:
        raise _unusable()
    syntax = dataset.file_meta.TransferSyntaxUID
    _require_decoder(syntax)
    if syntax.is_encapsulated:
        _check_frame(dataset, syntax, rows, columns)
    else:
        _check_length(dataset, rows * columns * samples * allocated, row_bits=columns * samples * allocated)


def white_of(descriptor: Sequence[int]) -> float:
    """The largest value of a lookup table, by its descriptor (PS3.3 C.11.1.1.1).

    Raises:
        InvalidArgument: It is no descriptor.
    """
    if len(descriptor) != 3 or int(descriptor[2]) not in _TABLE_BITS:
        raise InvalidArgument("A lookup table of the DICOM file cannot be used.", remedy="Export it without the table.")
    return float(2 ** int(descriptor[2]) - 1)


def _whole(dataset: pydicom.Dataset, name: str, default: int | None = None) -> int:
    try:
        value = dataset.get(name, None)
        if default is not None and value in (None, ""):
            return default
        return int(str(value))  # of several values there is no whole number
    except (TypeError, ValueError, OverflowError):
        raise _unusable() from None


def _unusable() -> InvalidArgument:
    return InvalidArgument(
        "The header of the DICOM file does not say what its pixels are.",
        remedy="Correct Rows, Columns, SamplesPerPixel, PhotometricInterpretation, BitsAllocated, BitsStored, NumberOfFrames.",
    )


def _require_decoder(syntax: UID) -> None:
    try:
        is_readable = get_decoder(syntax).is_available
    except NotImplementedError:
        is_readable = False
    if not is_readable:
        raise InvalidArgument(
            f"No decoder for the compression {syntax.name if syntax.name != syntax else 'of the file'} is installed.",
            remedy="Decompress it first (for instance with `dcmdjpeg` or `gdcmconv --raw`).",
        )


def _check_length(dataset: pydicom.Dataset, n_bits: int, row_bits: int) -> None:
    if dataset.get("PhotometricInterpretation", None) == "YBR_FULL_422":
        n_bits, row_bits = n_bits * 2 // 3, row_bits * 2 // 3
    n_there = len(dataset.PixelData) * 8
    if n_there < n_bits:
        raise InvalidArgument(
            "The pixels of the DICOM file are damaged or cut short.", remedy="Copy or export it again."
        )
    if n_there >= n_bits + max(row_bits, 16):  # some devices pad, but not by a row
        raise InvalidArgument(
            "The DICOM file holds more pixels than its header says.",
            remedy="Correct Rows and Columns, or export it again.",
        )


def _check_frame(dataset: pydicom.Dataset, syntax: UID, rows: int, columns: int) -> None:
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax == RLELossless:
        is_as_said = _is_run_length_of(frame, rows * columns)
    elif frame.startswith(_JPEG):
        if syntax == JPEGExtended12Bit and _jpeg_precision(frame) != 8:
            raise InvalidArgument(
                "No decoder for JPEG Extended of 12 bits is installed.",
                remedy="Decompress it first (for instance with `dcmdjpeg`).",
            )
        is_as_said = _jpeg_size(frame) == (rows, columns) and rows * columns <= MOST_PIXELS_A_BYTE * len(frame)
    elif frame.startswith(_JPEG_2000):
        try:
            with Image.open(io.BytesIO(frame), formats=("JPEG2000",)) as image:
                is_as_said = image.size == (columns, rows) and rows * columns <= MOST_PIXELS_A_BYTE * len(frame)
        except Image.DecompressionBombError:
            is_as_said = False
    else:  # what no decoder here reads
        is_as_said = False
    if not is_as_said:
        raise InvalidArgument(
            "The compressed picture in the DICOM file is not of the size that its header says, or damaged.",
            remedy="Export it again.",
        )


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns as the frame header says; None without one."""
    header = _jpeg_header(frame)
    return None if header is None else (int.from_bytes(header[1:3], "big"), int.from_bytes(header[3:5], "big"))


def _jpeg_precision(frame: bytes) -> int | None:
    header = _jpeg_header(frame)
    return None if header is None else header[0]


def _jpeg_header(frame: bytes) -> bytes | None:
    """Precision, rows and columns as the only frame header has them before the first scan; None where there is none, or two."""
    at, headers = 2, []
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:  # a byte of padding
            at += 1
            continue
        if marker == _START_OF_SCAN:
            break
        if marker in _FRAME_MARKERS:
            headers.append(frame[at + 4 : at + 9])
        at += 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    return headers[0] if len(headers) == 1 else None


def _is_run_length_of(frame: bytes, n_pixels: int) -> bool:
    """Whether each segment of a run-length encoded frame (PS3.5 G.3) unrolls to as many bytes; nothing is unrolled."""
    n_segments = int.from_bytes(frame[:4], "little")
    if len(frame) < 64 or not 1 <= n_segments <= 12:
        return False
    starts = [*struct.unpack_from(f"<{n_segments}L", frame, 4), len(frame)]
    # An even length is padded by a byte, which may read as one run more.
    return starts == sorted(starts) and all(
        n_pixels <= _unrolled(frame, start, end, n_pixels + 128) <= n_pixels + 128
        for start, end in itertools.pairwise(starts)
    )


def _unrolled(frame: bytes, start: int, end: int, most: int) -> int:
    """How many bytes a segment unrolls to; counted no further than just above the most."""
    n_bytes, at = 0, start
    while at < end and n_bytes <= most:
        head = frame[at]
        if head > 128:
            n_bytes, at = n_bytes + 257 - head, at + 2
        elif head < 128:
            n_bytes, at = n_bytes + min(head + 1, max(end - at - 1, 0)), at + head + 2
        else:
            at += 1
    return n_bytes
