"""Changes of image files that know where a format keeps its sizes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import pydicom
import pydicom.encaps

from tests.fuzz.limits import MARKER
from tests.fuzz.mutations import Rng, below, mutated
from tests.fuzz.picture_seeds import BOMB_BYTES, dicom_bombs, dicom_seeds, jpeg_seeds, png_seeds, tiff_seeds, written
from tests.fuzz.volumes import nifti_case

_SIZES = (0, 1, 15, 16, 33, 255, 4096, 8000, 8001, 30_000, 65_535, 2**20, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def png_case(rng: Rng) -> bytes:
    """A PNG with another header, other chunks, or too much in its data."""
    data = png_seeds()[below(rng, len(png_seeds()))]
    if rng.random() < 0.4:
        return mutated(data, rng, png_seeds())
    chunks = _chunks(data)
    for _ in range(int(rng.integers(1, 4))):
        chunks = (_change_header, _change_order, _change_data)[below(rng, 3)](chunks, rng)
    head = data[:8] + b"".join(_chunk(kind, content) for kind, content in chunks)
    return mutated(head, rng) if rng.random() < 0.2 else head


def jpeg_case(rng: Rng) -> bytes:
    """A JPEG with another size or damaged."""
    data = jpeg_seeds()[below(rng, len(jpeg_seeds()))]
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    if rng.random() < 0.5:
        size = struct.pack(">HH", *(_SIZES[below(rng, len(_SIZES))] % 65_536 for _ in range(2)))
        data = data[: at + 5] + size + data[at + 9 :]
    return data if rng.random() < 0.3 else mutated(data, rng, jpeg_seeds())


def tiff_case(rng: Rng) -> bytes:
    """A TIFF with other entries in its directory, or a directory that leads back to itself."""
    data = tiff_seeds()[below(rng, len(tiff_seeds()))]
    if rng.random() < 0.4 or data.startswith(b"II+"):  # whose directory has another form
        return mutated(data, rng, tiff_seeds())
    changed = bytearray(data)
    start = struct.unpack_from("<I", data, 4)[0]
    n_entries = struct.unpack_from("<H", data, start)[0]
    for _ in range(int(rng.integers(1, 4))):
        entry = start + 2 + 12 * below(rng, n_entries)
        part, form = ((0, "<H"), (2, "<H"), (4, "<I"), (8, "<I"), (8, "<I"))[below(rng, 5)]
        value = below(rng, 400) if part < 4 else _SIZES[below(rng, len(_SIZES))]
        struct.pack_into(form, changed, entry + part, value)
    if rng.random() < 0.2:
        struct.pack_into("<I", changed, start + 2 + 12 * n_entries, (start, 8, len(data))[below(rng, 3)])
    return bytes(changed)


def dicom_case(rng: Rng) -> bytes:
    """A DICOM with extreme elements, without some, or with more pixels than it says."""
    data = dicom_seeds()[below(rng, len(dicom_seeds()))]
    if rng.random() < 0.5:
        return mutated(data, rng, dicom_seeds())
    if rng.random() < 0.02:
        return dicom_bombs()[below(rng, 2)]
    dataset = pydicom.dcmread(io.BytesIO(data))
    for _ in range(int(rng.integers(1, 5))):
        name, values = _ELEMENTS[below(rng, len(_ELEMENTS))]
        value = values[below(rng, len(values))]
        try:
            if value is None:
                dataset.pop(name, None)
            else:
                setattr(dataset, name, value)
        except Exception:  # the library refuses to write some
            continue
    if rng.random() < 0.1:
        dataset.file_meta.TransferSyntaxUID = _SYNTAXES[below(rng, len(_SYNTAXES))]
    try:
        changed = written(dataset)
    except Exception:
        return mutated(data, rng, dicom_seeds())
    return mutated(changed, rng) if rng.random() < 0.3 else changed


_COUNTS = (0, 1, 2, 15, 16, 31, 33, 64, 4096, 65_535, None)
_TEXTS = ("", "0", "-1", "1e308", "1e400", "nan", "inf", "0.5", "1\\2", None)
_ELEMENTS = (
    ("Rows", _COUNTS), ("Columns", _COUNTS), ("SamplesPerPixel", (0, 1, 2, 3, 4, 65_535, None)),
    ("BitsAllocated", (0, 1, 7, 8, 12, 16, 32, 64, 65_535, None)), ("BitsStored", (0, 1, 8, 12, 16, 17, 65_535, None)),
    ("HighBit", (0, 7, 15, 65_535, None)), ("PixelRepresentation", (0, 1, 2, None)),
    ("PhotometricInterpretation", ("MONOCHROME1", "RGB", "YBR_FULL", "PALETTE COLOR", "HSV", "", None)),
    ("PlanarConfiguration", (0, 1, 2)), ("NumberOfFrames", (0, 1, 2, 2**31 - 1, -1)),
    ("RescaleSlope", _TEXTS), ("RescaleIntercept", _TEXTS), ("WindowCenter", _TEXTS), ("WindowWidth", _TEXTS),
    ("VOILUTFunction", ("LINEAR", "SIGMOID", "LINEAR_EXACT", MARKER)), ("PixelPaddingValue", (0, 65_535, None)),
    ("BurnedInAnnotation", ("YES", "NO", "", MARKER)), ("Modality", ("CT", "US", "OT", "", MARKER, None)),
    ("PatientID", ("", MARKER, "x" * 70_000, None)), ("StudyInstanceUID", ("", "1.2", MARKER, None)),
    ("SOPClassUID", ("", "1.2.840.10008.5.1.4.1.1.7", MARKER, None)),
    ("PixelData", (b"", b"\0", b"\0" * 2048, b"\xff" * 2049, None)),
)  # fmt: skip
_SYNTAXES = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.3.4", MARKER,
)  # fmt: skip


_Chunks = list[tuple[bytes, bytes]]


def _chunks(data: bytes) -> _Chunks:
    found, at = [], 8
    while at < len(data):
        length = struct.unpack_from(">I", data, at)[0]
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _change_header(chunks: _Chunks, rng: Rng) -> _Chunks:
    """Another size, depth, colour type or interlacing, with a checksum that fits."""
    header = bytearray(chunks[0][1])
    if len(header) < 13:
        return chunks
    if rng.random() < 0.7:
        struct.pack_into(">I", header, 4 * below(rng, 2), _SIZES[below(rng, len(_SIZES))])
    else:
        header[8 + below(rng, 5)] = below(rng, 20)
    return [(chunks[0][0], bytes(header)), *chunks[1:]]


def _change_order(chunks: _Chunks, rng: Rng) -> _Chunks:
    """A chunk twice, away, elsewhere or of another kind; a text that nobody asked for."""
    at, changed = below(rng, len(chunks)), list(chunks)
    how = below(rng, 5)
    if how == 0:
        changed.insert(at, changed[at])
    elif how == 1 and len(changed) > 1:
        del changed[at]
    elif how == 2:
        changed.append(changed.pop(at))
    elif how == 3:
        changed[at] = ((b"tEXt", b"acTL", b"fdAT", b"PLTE", b"tRNS", b"eXIf", b"iCCP")[below(rng, 7)], changed[at][1])
    else:
        changed.insert(1, (b"zTXt", b"k\0\0" + _bomb() if rng.random() < 0.2 else MARKER.encode()))
    return changed


def _change_data(chunks: _Chunks, rng: Rng) -> _Chunks:
    """Compressed data of another length than the header says."""
    content = _bomb() if rng.random() < 0.1 else zlib.compress(rng.bytes(below(rng, 3000)))
    return [(kind, content if kind == b"IDAT" else was) for kind, was in chunks]


@cache
def _bomb() -> bytes:
    """Zeros that are small until they are unpacked."""
    return zlib.compress(bytes(BOMB_BYTES), 9)


PICTURES: dict[str, Callable[[Rng], bytes]] = {
    "png": png_case, "jpeg": jpeg_case, "tiff": tiff_case, "dicom": dicom_case, "nifti": nifti_case,
}  # fmt: skip
