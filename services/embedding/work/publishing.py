"""Writes the image set of an ingest, a few hundred rows at a time: neither rows nor vectors lie in memory as a whole."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from medq.embedding.v1 import embedding_pb2 as pb
from services.embedding.ports import Listing
from services.embedding.store.images import Store
from services.embedding.store.tables import STORED, InputRow
from services.embedding.work.lines import image_line, input_line
from services.embedding.work.recorded import recorded
from shared.batches import in_batches
from shared.errors import FailedPrecondition
from shared.objects.arrays import write_array
from shared.objects.dataset import write_dataset, write_files
from shared.objects.store import SCHEME, ObjectStore
from shared.rows.images import OTHER_FILE, OTHER_PART, SAME_FILE, Image, Input, part_of, who_told_modality
from shared.spill import Spill, Table

AT_ONCE = 500
#: Reasons that a refusal tells, and of how many different ones there are counts.
_REASONS_TOLD, _MOST_REASONS = 3, 1000


class _First(msgspec.Struct, array_like=True):
    """The input that an image was first found in: the file, and the row."""

    picture: str
    row: InputRow


def write_image_set(
    store: Store, objects: ObjectStore, request: pb.StartIngestRequest, listing: Listing, encoder_id: str
) -> str:
    """Write the image set of an ingest whose images have their vectors.

    Returns: Its URI.

    Raises:
        FailedPrecondition: Nothing that the source names could be stored.
    """
    with tempfile.TemporaryDirectory() as name, Spill() as spill:
        folder, first, tally = Path(name), spill.table("first", str), Tally()
        report = tally.counted(_report(store, request.operation_id, listing, first))
        write_files(folder, "image-set", {"report.jsonl": report})
        write_files(folder, "image-set", {"images.jsonl": tally.told(_images(store, first))})
        if not tally.n_images:
            raise tally.refusal()
        write_vectors(folder, store, tally.n_images, (image_id for image_id, _ in first.items()))
        return write_dataset(
            objects,
            "image-set",
            folder,
            counts=tally.counts,
            parents=[request.source_uri] if request.source_uri.startswith(SCHEME) else [],
            configuration={
                "default_modality": request.default_modality,
                "encoder_id": encoder_id,
                "split": request.split,
            },
            seed=0,
        )


def write_vectors(folder: Path, store: Store, n_images: int, image_ids: Iterable[str]) -> None:
    """Write the vectors of these images, of which there is one at least, in this order."""

    def parts() -> Iterator[NDArray[np.float32]]:
        for part in in_batches(image_ids, AT_ONCE):
            vectors = store.vectors(part)
            yield np.stack([np.frombuffer(vectors[image_id], dtype="<f4") for image_id in part])

    write_array(folder / "vectors.npy", n_images, parts())


class Tally:
    """Counts what becomes of inputs while the report is written, and the images while these are."""

    def __init__(self) -> None:
        self.n_images = 0
        self._statuses: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._remedy = ""

    def counted(self, lines: Iterable[Input]) -> Iterator[Input]:
        """The same lines."""
        for line in lines:
            if not self._statuses:
                self._remedy = line.remedy
            self._statuses[line.status] += 1
            if line.reason in self._reasons or len(self._reasons) < _MOST_REASONS:
                self._reasons[line.reason] += 1
            yield line

    def told(self, images: Iterable[Image]) -> Iterator[Image]:
        """The same images."""
        for image in images:
            self.n_images += 1
            self._told.update(who_told_modality([image]))
            yield image

    @property
    def counts(self) -> dict[str, int]:
        """What the manifest of the image set counts."""
        return {"images": self.n_images, **self._statuses, **self._told}

    def refusal(self) -> FailedPrecondition:
        """Why there is no image at all."""
        reasons = self._reasons.most_common(_REASONS_TOLD)
        listed = "; ".join(f"{count} x {reason}" for reason, count in reasons)
        return FailedPrecondition(
            f"None of the {self._statuses.total()} inputs could be taken in: {listed}",
            field="source_uri",
            remedy=self._remedy or "Use PNG, JPEG, TIFF, DICOM or NIfTI files.",
        )


def _report(store: Store, operation_id: str, listing: Listing, first: Table[str]) -> Iterator[Input]:
    """The lines of the report, in the order of the source; fills `first`, image by image. A file may be gone since a restart."""
    for entry, rows in recorded(store, operation_id, listing):
        for row in rows:
            why_again = ""
            if row.status == STORED:
                found = _First(entry.picture, row)
                if not first.add(row.image_id, msgspec.msgpack.encode(found)):
                    earlier = msgspec.msgpack.decode(first.get(row.image_id) or b"", type=_First)
                    why_again = _why_again(earlier, found)
            yield input_line(entry, row, why_again)


def _why_again(first: _First, found: _First) -> str:
    """Why an image is there again, by the file and the part of it that it was first found in, and this time."""
    if first.picture != found.picture:
        return OTHER_FILE
    return SAME_FILE if part_of(first.row.name) == part_of(found.row.name) else OTHER_PART


def _images(store: Store, first: Table[str]) -> Iterator[Image]:
    for part in in_batches(first.items(), AT_ONCE):
        images = store.images([image_id for image_id, _ in part])
        for image_id, data in part:
            yield image_line(images[image_id], msgspec.msgpack.decode(data, type=_First).row)
