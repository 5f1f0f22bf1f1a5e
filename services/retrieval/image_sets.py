"""Image sets as retrieval reads them: who is in them, and their vectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from services.retrieval.domain.leakage import ImageRecord
from services.retrieval.ports import IndexedImage, Vectors
from shared.errors import DataLoss
from shared.objects.dataset import read_array, read_manifest, read_rows
from shared.objects.store import ObjectStore

KIND = "image-set"
_FIELDS = tuple(IndexedImage.__dataclass_fields__)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """An image set: `vectors` (n, d) float32 belong to `images`, row by row."""

    encoder_id: str
    images: list[IndexedImage]
    vectors: Vectors


def read_images(objects: ObjectStore, uri: str) -> list[IndexedImage]:
    """The images of a set, sorted by id.

    Raises:
        NotFound: there is no such dataset.
        InvalidArgument: it is not an image set.
    """
    read_manifest(objects, uri, KIND)
    return [_image(row) for row in read_rows(objects, uri, "images.jsonl")]


def read_image_set(objects: ObjectStore, uri: str) -> ImageSet:
    """The images and vectors of a set.

    Raises:
        NotFound, InvalidArgument: as `read_images`.
        DataLoss: rows and vectors do not match.
    """
    manifest = read_manifest(objects, uri, KIND)
    images, vectors = read_images(objects, uri), read_array(objects, uri, "vectors.npy")
    if vectors.ndim != 2 or len(vectors) != len(images):
        raise DataLoss("The image set has not one vector an image.", field="image_set_uri", value=uri)
    return ImageSet(str(manifest.configuration.get("encoder_id", "")), images, vectors.astype("<f4"))


def records(images: Iterable[IndexedImage]) -> list[ImageRecord]:
    """What the leakage check needs to know of them."""
    return [ImageRecord(image.image_id, image.phash, image.patient, image.session) for image in images]


def _image(row: dict[str, Any]) -> IndexedImage:
    return IndexedImage(**{name: str(row.get(name, "")) for name in _FIELDS})
