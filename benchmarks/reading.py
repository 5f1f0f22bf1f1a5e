"""Images a second that ingest reads, beside bare Pillow and bare pydicom on the same files.

    python -m benchmarks.reading [--size 200]

PNG files of 512 x 512 colour pixels and DICOM files of 512 x 512 pixels of 12 bit, random and smooth. *Ingest* is all that one
reading process does with a file: limits, checks of its header, decoding, de-identification, the PNG that is kept, both hashes.
*Embedded* adds the statistics encoder. The peers decode and do nothing else, so the ratio says what the rest costs. What it
takes to keep grey levels of more than 8 bits is told in time of the processor, with and without them, and in bytes of the files
of pydicom's own tests. One thread; one JSON object goes to standard output.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from benchmarks.outcome import end
from services.embedding.adapters.child import Limits
from services.embedding.adapters.formats import read_images
from services.embedding.adapters.readers import ImageReaders
from services.embedding.adapters.statistics_encoder import StatisticsEncoder
from services.embedding.domain.images import StoredForm
from shared.errors import InvalidArgument

_SIDE, _KEY = 512, b"0" * 32


def png_files(size: int) -> list[bytes]:
    """Colour pictures."""
    return [_png(np.stack([_smooth(3 * i + channel) for channel in range(3)], axis=2)) for i in range(size)]


def dicom_files(size: int) -> list[bytes]:
    """CT slices without compression."""
    return [_dicom(_smooth(i)) for i in range(size)]


def _smooth(seed: int) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _dicom(pixels: NDArray[np.uint8]) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = (
        CTImageStorage,
        meta.MediaStorageSOPInstanceUID,
        "CT",
    )
    dataset.PatientID, dataset.StudyInstanceUID, dataset.BurnedInAnnotation = "p", generate_uid(), "NO"
    dataset.Rows = dataset.Columns = _SIDE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = (pixels.astype("<u2") * 16).tobytes()
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _pillow(data: bytes) -> Any:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"))


def _pydicom(data: bytes) -> Any:
    return pydicom.dcmread(io.BytesIO(data)).pixel_array


def per_second(read: Callable[[bytes], Any], files: Sequence[bytes]) -> float:
    """Files a second, by the clock, after one that is not timed."""
    read(files[0])
    started = time.perf_counter()
    for data in files:
        read(data)
    return len(files) / (time.perf_counter() - started)


def processor_ms(files: Sequence[bytes], is_depth_kept: bool) -> float:
    """Milliseconds of the processor that a file takes; waiting for other programs does not count."""
    started = time.process_time()
    for data in files:
        read_images(data, _KEY, is_depth_kept=is_depth_kept)
    return 1e3 * (time.process_time() - started) / len(files)


def room_of_depth() -> dict[str, int]:
    """Bytes of the pictures and of the grey levels of pydicom's test files of more than 8 bits, as they are kept."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    room = {"images": 0, "pictures": 0, "levels": 0}
    for path in sorted(folder.glob("*.dcm")):
        with suppress(InvalidArgument):  # some are damaged on purpose
            for form in read_images(path.read_bytes(), _KEY):
                if isinstance(form, StoredForm) and form.depth:
                    room["images"] += 1
                    room["pictures"] += len(form.png)
                    room["levels"] += len(form.depth.png)
    return room


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=200, help="files of each kind")
    size = parser.parse_args().size
    readers, encoder = ImageReaders(1, Limits()), StatisticsEncoder()

    def ingest(data: bytes) -> StoredForm:
        (form,) = readers.read(data, _KEY)
        assert isinstance(form, StoredForm), form
        return form

    def embedded(data: bytes) -> Any:
        return encoder.embed_images([readers.load(ingest(data).png)])

    kinds = {"png": (png_files(size), "Pillow", _pillow), "dicom": (dicom_files(size), "pydicom", _pydicom)}
    figures, words = {}, []
    try:
        for kind, (files, peer, bare) in kinds.items():
            rates = {
                "ingest": per_second(ingest, files),
                "embedded": per_second(embedded, files),
                peer: per_second(bare, files),
            }
            figures[kind] = {**rates, "ratio": rates["ingest"] / rates[peer]}
            words.append(
                f"{kind} {rates['ingest']:.0f} images/s, embedded {rates['embedded']:.0f}; bare {peer} {rates[peer]:.0f}: "
                f"a ratio of {figures[kind]['ratio']:.2f}"
            )
    finally:
        readers.close()
    depth = {
        **room_of_depth(),
        **{f"{name}_ms": processor_ms(kinds["dicom"][0], kept) for name, kept in (("with", True), ("without", False))},
    }
    end(
        {"size": size, "load": os.getloadavg()[0], **figures, "depth": depth},
        f"reading of {_SIDE} x {_SIDE}: {'; '.join(words)}; "
        f"levels take {depth['levels'] / depth['pictures']:.1f} times the room of their pictures, and reading "
        f"{depth['with_ms'] / depth['without_ms']:.1f} times the processor's time",
        is_met=True,
    )


if __name__ == "__main__":
    main()
