"""Re-embedding: the images of an image set are taken over as inputs, each under its id, and written again beside other vectors.

No original file is read: what is embedded is what was stored of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from services.embedding.store.images import Store
from services.embedding.store.tables import FAILED, STORED, ImageRow, InputRow
from services.embedding.work.facts import Facts
from services.embedding.work.publishing import AT_ONCE, Tally, write_vectors
from shared.batches import in_batches
from shared.objects.dataset import iterate_rows, read_manifest, write_dataset, write_files
from shared.objects.store import ObjectStore
from shared.rows.images import Image, Input


def take_over(store: Store, objects: ObjectStore, operation_id: str, uri: str, facts: Facts) -> None:
    """Record each image of a set as an input that was stored; what is recorded already stays as it is.

    Raises:
        NotFound, InvalidArgument: There is no such dataset, or it is no image set.
    """
    for _ in iterate_rows(objects, uri, Image):
        """All of it is read once before anything is done: only then it is known to be whole."""
    for images in in_batches(iterate_rows(objects, uri, Image), AT_ONCE):
        done = store.inputs.of(operation_id, [image.image_id for image in images])
        new = [image for image in images if image.image_id not in done]
        store.record(
            operation_id, [_input_row(image) for image in new], map(_image_row, new), facts.ingested, facts.embedded
        )


def write_again(store: Store, objects: ObjectStore, operation_id: str, uri: str, encoder_id: str) -> str:
    """The image set with vectors of another encoder: the same lines, but for images that could not be embedded.

    Returns: Its URI.

    Raises:
        FailedPrecondition: There are no others.
    """
    old, tally = read_manifest(objects, uri, "image-set"), Tally()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = tally.counted(_report(store, objects, operation_id, uri))
        write_files(folder, "image-set", {"report.jsonl": report})
        images = tally.told(_images(store, objects, operation_id, uri))
        write_files(folder, "image-set", {"images.jsonl": images})
        if not tally.n_images:
            raise tally.refusal()
        image_ids = (image.image_id for image in _images(store, objects, operation_id, uri))
        write_vectors(folder, store, tally.n_images, image_ids)
        return write_dataset(
            objects,
            "image-set",
            folder,
            counts=tally.counts,
            parents=[uri],
            configuration={**old.configuration, "encoder_id": encoder_id},
            seed=0,
        )


def _images(store: Store, objects: ObjectStore, operation_id: str, uri: str) -> Iterator[Image]:
    """The images of the old set that could be embedded."""
    for images in in_batches(iterate_rows(objects, uri, Image), AT_ONCE):
        inputs = store.inputs.of(operation_id, [image.image_id for image in images])
        yield from (image for image in images if inputs[image.image_id].status == STORED)


def _report(store: Store, objects: ObjectStore, operation_id: str, uri: str) -> Iterator[Input]:
    """The lines of the old report; where an image was given up, they say so."""
    for lines in in_batches(iterate_rows(objects, uri, Input), AT_ONCE):
        inputs = store.inputs.of(operation_id, {line.image_id for line in lines if line.image_id})
        yield from (_line(line, inputs) for line in lines)


def _input_row(image: Image) -> InputRow:
    return InputRow(
        image.image_id, STORED, image.image_id, image.modality, image.source_id, image.patient, image.session, image.split,
        image.licence, modality_from=image.modality_from,
    )  # fmt: skip


def _image_row(image: Image) -> ImageRow:
    window = msgspec.json.encode(image.window).decode()
    return ImageRow(
        image.image_id, image.image_uri, image.phash, image.width, image.height, window, image.modality, image.structure
    )


def _line(line: Input, inputs: Mapping[str, InputRow]) -> Input:
    """A line of the old report; where its image was given up, it says so."""
    row = inputs.get(line.image_id)
    if row is None or row.status == STORED:
        return line
    return msgspec.structs.replace(line, status=FAILED, image_id="", reason=row.reason, remedy=row.remedy)
