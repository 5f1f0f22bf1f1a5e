"""Re-embedding: the images of an image set are taken over as inputs, each under its id, and written again beside other vectors.

No original file is read: what is embedded is what was stored of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec
import numpy as np

from services.embedding.store.images import Store
from services.embedding.store.tables import FAILED, STORED, ImageRow, InputRow
from services.embedding.work.facts import Facts
from shared.objects.dataset import publish, read_manifest, read_rows
from shared.objects.store import ObjectStore
from shared.rows.images import Image, Input, who_told_modality

_AT_ONCE = 500


def take_over(store: Store, objects: ObjectStore, operation_id: str, uri: str, facts: Facts) -> None:
    """Record each image of a set as an input that was stored; what is recorded already stays as it is.

    Raises:
        NotFound, InvalidArgument: There is no such dataset, or it is no image set.
    """
    done = store.names_done(operation_id)
    images = [image for image in read_rows(objects, uri, Image) if image.image_id not in done]
    for start in range(0, len(images), _AT_ONCE):
        part = images[start : start + _AT_ONCE]
        rows = [_input_row(image) for image in part]
        store.record(operation_id, rows, [_image_row(image) for image in part], facts.ingested, facts.embedded)


def write_again(store: Store, objects: ObjectStore, operation_id: str, uri: str, encoder_id: str) -> str:
    """The image set with vectors of another encoder: the same lines, but for images that could not be embedded.

    Returns: Its URI.
    """
    old, inputs = read_manifest(objects, uri, "image-set"), store.inputs(operation_id)
    images = [image for image in read_rows(objects, uri, Image) if inputs[image.image_id].status == STORED]
    vectors = store.vectors([image.image_id for image in images])
    report = [_line(line, inputs) for line in read_rows(objects, uri, Input)]
    return publish(
        objects,
        "image-set",
        {
            "images.jsonl": images,
            "report.jsonl": report,
            "vectors.npy": np.stack([np.frombuffer(vectors[image.image_id], dtype="<f4") for image in images]),
        },
        counts={"images": len(images), **Counter(line.status for line in report), **who_told_modality(images)},
        parents=[uri],
        configuration={**old.configuration, "encoder_id": encoder_id},
    )


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
