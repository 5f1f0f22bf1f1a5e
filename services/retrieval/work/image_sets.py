"""Image sets as retrieval reads them: who is in them, and their vectors."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from services.retrieval.domain.leakage import ImageRecord
from services.retrieval.ports import IndexedImage, Vectors
from shared.batches import in_batches
from shared.errors import DataLoss, FailedPrecondition
from shared.objects.dataset import iterate_rows, map_array, read_manifest
from shared.objects.store import ObjectStore
from shared.rows.images import Image


def iterate_images(objects: ObjectStore, uri: str) -> Iterator[IndexedImage]:
    """The images of a set, sorted by id, one at a time; of a damaged set the last thing is an error.

    Raises:
        NotFound: There is no such dataset.
        InvalidArgument: It is not an image set.
    """
    for row in iterate_rows(objects, uri, Image):
        yield IndexedImage(
            image_id=row.image_id,
            split=row.split,
            modality=row.modality,
            phash=row.phash,
            source_id=row.source_id,
            patient=row.patient,
            session=row.session,
            image_uri=row.image_uri,
        )


def find_images(
    objects: ObjectStore, uris: Iterable[str], split: str, image_ids: Collection[str]
) -> dict[str, IndexedImage]:
    """These images of a split; of one that several sets describe, the first description. Raises as `iterate_images`."""
    found: dict[str, IndexedImage] = {}
    for uri in uris:
        for image in iterate_images(objects, uri):
            if image.split == split and image.image_id in image_ids:
                found.setdefault(image.image_id, image)
    return found


def count_images(objects: ObjectStore, uri: str) -> int:
    """How many images a set has; they are all read, so that it is known to be whole. Raises as `iterate_images`."""
    return sum(1 for _ in iterate_images(objects, uri))


def iterate_batches(
    objects: ObjectStore, uri: str, n_images: int, size: int
) -> Iterator[tuple[list[IndexedImage], Vectors]]:
    """The images of a set and their vectors, (b, d) float32, `size` of them at a time.

    Args:
        objects, uri: The set.
        n_images: As `count_images` has it.
        size: The last batch may be smaller.

    Raises:
        NotFound, InvalidArgument: As `iterate_images`.
        DataLoss: Rows and vectors do not match.
    """
    with tempfile.TemporaryDirectory() as folder:
        vectors = map_array(objects, uri, "vectors.npy", Path(folder))
        _require_one_each(uri, n_images, vectors)
        start = 0
        for images in in_batches(iterate_images(objects, uri), size):
            yield images, np.array(vectors[start : start + len(images)], dtype="<f4")
            start += len(images)


def encoder_of(objects: ObjectStore, uris: Sequence[str]) -> str:
    """The one encoder that made the vectors of datasets: image sets, and failures that were mined with their vectors.

    Failures of an older release do not name theirs and are passed over.

    Raises:
        NotFound: A dataset is not there.
        FailedPrecondition: They are of several encoders; cosines between them mean nothing.
    """
    found = {encoder_id: uri for uri in uris if (encoder_id := _encoder_id(objects, uri))}
    if len(found) > 1:
        raise FailedPrecondition(
            f"The vectors are of several encoders: {', '.join(sorted(found))}.",
            field="pool_uris",
            value=list(found.values())[-1],
            remedy="Embed the images of all with one of them (StartReembed).",
        )
    return next(iter(found), "")


def _encoder_id(objects: ObjectStore, uri: str) -> str:
    return str(read_manifest(objects, uri).configuration.get("encoder_id", ""))


def map_vectors(objects: ObjectStore, uris: Sequence[str]) -> Iterator[tuple[list[str], Vectors]]:
    """Image ids and their vectors, set by set; the vectors are a memory map that holds until the next set is asked for.

    Raises:
        NotFound, InvalidArgument, DataLoss: As `iterate_batches`.
    """
    for uri in uris:
        ids = [row.image_id for row in iterate_rows(objects, uri, Image)]
        with tempfile.TemporaryDirectory() as folder:
            vectors = map_array(objects, uri, "vectors.npy", Path(folder))
            _require_one_each(uri, len(ids), vectors)
            yield ids, vectors


def _require_one_each(uri: str, n_images: int, vectors: Vectors) -> None:
    if vectors.ndim != 2 or len(vectors) != n_images:
        raise DataLoss("The image set has not one vector an image.", field="image_set_uri", value=uri)


def iterate_records(objects: ObjectStore, uris: Iterable[str], split: str = "") -> Iterator[ImageRecord]:
    """What the leakage check needs to know of the images of some sets, of one split or ("") of all, one at a time.

    An image that several sets describe comes several times.

    Raises:
        NotFound, InvalidArgument: As `iterate_images`.
    """
    for uri in uris:
        for row in iterate_rows(objects, uri, Image):
            if split in ("", row.split):
                yield ImageRecord(row.image_id, row.phash, row.patient, row.session, row.source_id, row.structure)
