"""The compressed frames of a DICOM file, each checked before it is decoded. Nothing here takes memory by what is promised."""

from __future__ import annotations

import io
import itertools
import struct

import pydicom
from PIL import Image
from pydicom.encaps import get_frame
from pydicom.uid import UID, JPEGExtended12Bit, RLELossless

from services.embedding.adapters.codestreams import jpeg_precision, jpeg_size
from services.embedding.adapters.images import MOST_PIXELS_A_BYTE
from shared.errors import InvalidArgument

_JPEG = b"\xff\xd8\xff"  # JPEG-LS, too
_JPEG_2000 = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")  # bare and in a file


def frame_of(dataset: pydicom.Dataset, n_frames: int, index: int) -> bytes:
    """The compressed bytes of a frame, found as the decoder finds them.

    Raises:
        ValueError: There is no such frame.
    """
    tables = tuple(dataset.get(name) for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"))
    return get_frame(
        dataset.PixelData, index, number_of_frames=n_frames, extended_offsets=tables if all(tables) else None
    )


def check_frame(frame: bytes, syntax: UID, rows: int, columns: int) -> None:
    """Refuse a frame whose own header says another size than that of the file, or that cannot hold so much.

    Raises:
        InvalidArgument: So it is.
    """
    if syntax == RLELossless:
        is_as_said = _is_run_length_of(frame, rows * columns)
    elif frame.startswith(_JPEG):
        if syntax == JPEGExtended12Bit and jpeg_precision(frame) != 8:
            raise InvalidArgument(
                "No decoder for JPEG Extended of 12 bits is installed.",
                remedy="Decompress it first (for instance with `dcmdjpeg`).",
            )
        is_as_said = jpeg_size(frame) == (rows, columns) and rows * columns <= MOST_PIXELS_A_BYTE * len(frame)
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
