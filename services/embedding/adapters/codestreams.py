"""What a JPEG or JPEG-LS codestream says of its picture before it is decoded."""

from __future__ import annotations

#: Markers of a JPEG (ISO/IEC 10918-1, table B.1) and JPEG-LS (ISO/IEC 14495-1, C.2.2) frame; others hold tables and remarks.
_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA


def jpeg_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns as the frame header says; None without one."""
    header = _jpeg_header(frame)
    return None if header is None else (int.from_bytes(header[1:3], "big"), int.from_bytes(header[3:5], "big"))


def jpeg_precision(frame: bytes) -> int | None:
    """Bits of a sample as the frame header says; None without one."""
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
