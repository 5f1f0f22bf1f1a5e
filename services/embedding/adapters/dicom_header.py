"""What a DICOM file says of its pixels, checked before any of them is decoded: sizes, compression, tables.

A header may promise anything: 65535 x 65535 pixels in a file of a megabyte, a picture inside that is larger than the header
says, runs that unroll to sixty times their length. Nothing here takes memory by what is promised. The texts of errors never
hold a value of the header.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import pydicom
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from services.embedding.adapters.dicom_frames import check_frame, frame_of
from services.embedding.domain.images import MOST_BYTES, index_of, require_few_pixels, spread_out
from shared.errors import InvalidArgument
from shared.rows.images import DICOMDIR, STRUCTURED_REPORT

_START = 132  # bytes: preamble and "DICM"
_PIECE = 1 << 16  # bytes that are inflated at once; they become 64 MiB at most
_SAMPLES, _BITS_ALLOCATED = (1, 3), (1, 8, 16, 32)
#: Meanings of the samples that decoding and display know, by their number.
_MEANINGS = {
    1: ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"),
    3: ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"),
}
_TABLE_BITS = range(8, 17)
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."  # classes of structured reports


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


def check_header(dataset: pydicom.Dataset, part: str = "") -> tuple[int, list[int]]:
    """Refuse a file by what its header says of the pixels.

    Returns: How many frames it holds, and which of them are decoded, from 0: those that are taken (`spread_out`), or, where
        the part is none of these, its frame alone. Each of those was checked.

    Raises:
        InvalidArgument: No pixels, too many or other pixels than the file holds, no such part, or compressed in a way that
            cannot be read here.
    """
    if "PixelData" not in dataset:
        if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
            raise InvalidArgument(
                "The pixels of the DICOM file are floating point.",
                remedy="Export them as whole numbers with a rescale.",
            )
        raise _no_pixels(str(dataset.get("SOPClassUID", None) or dataset.file_meta.get("MediaStorageSOPClassUID", "")))
    n_frames = _whole(dataset, "NumberOfFrames", default=1)
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
    taken = spread_out(n_frames, columns, rows)
    if part and (index := index_of(part, "frame", n_frames if n_frames > 1 else 0)) not in taken:
        taken = [index]  # a frame that is taken is shown beside the others: they may share one range of grey levels
    if syntax.is_encapsulated:
        for index in taken:
            check_frame(frame_of(dataset, n_frames, index), syntax, rows, columns)
    else:
        row_bits = columns * samples * allocated
        _check_length(dataset, n_frames * rows * row_bits, row_bits)
    return n_frames, taken


def _no_pixels(sop_class: str) -> InvalidArgument:
    if sop_class == MediaStorageDirectoryStorage:
        message, remedy = DICOMDIR, "Nothing is lost: they are read."
    elif sop_class.startswith(_REPORTS):
        message, remedy = STRUCTURED_REPORT, "Leave it out."
    else:
        message, remedy = "The DICOM file holds no pixels.", "Copy it again if it was cut short, or leave it out."
    return InvalidArgument(message, remedy=remedy)


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
