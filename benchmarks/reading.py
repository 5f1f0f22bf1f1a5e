"""Images a second that ingest reads, beside bare Pillow and bare pydicom on the same files.

    python -m benchmarks.reading [--size 200]

PNG files of 512 x 512 colour pixels and DICOM files of 512 x 512 pixels of 12 bit, random and smooth. *Ingest* is all that one
reading process does with a file: limits, checks of its header, decoding, de-identification, the PNG that is kept, both hashes.
*Embedded* adds the statistics encoder. The peers decode and do nothing else, so the ratio says what the rest costs. One thread;
one JSON object goes to standard output.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from benchmarks.outcome import end
from services.embedding.adapters.child import Limits
from services.embedding.adapters.readers import ImageReaders
from services.embedding.adapters.statistics_encoder import StatisticsEncoder
from services.embedding.domain.images import StoredForm

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
    end(
        {"size": size, "load": os.getloadavg()[0], **figures},
        f"reading of {_SIDE} x {_SIDE}: {'; '.join(words)}",
        is_met=True,
    )


if __name__ == "__main__":
    main()
