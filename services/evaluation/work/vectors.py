"""The vectors of images and failures: what was seen comes from the image set, what was asked from the same encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from medq.embedding.v1 import embedding_pb2
from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from services.evaluation.domain.outcomes import Outcome
from shared.errors import InvalidArgument
from shared.objects.dataset import read_array, read_manifest, read_rows
from shared.objects.store import ObjectStore
from shared.operation_context import OperationContext
from shared.rows.images import Image

#: A text may have some 300 KB (a question and its options, each of 10,000 signs), and a message 4 MiB.
_TEXTS_PER_CALL = 8


def failure_vectors(
    context: OperationContext,
    objects: ObjectStore,
    embedding: EmbeddingServiceStub,
    image_set_uri: str,
    failed: Sequence[Outcome],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What was seen and what was asked of each failure, (n, d_v) and (n, d_t); without a failure (0, d_v) and (0, 0).

    Raises:
        NotFound, InvalidArgument: the image set is not there, has no vectors, or lacks an image; or its
            encoder is not there any more.
        Unavailable: the embedding service does not answer.
    """
    n = len(failed)
    context.progress(0, n, "failures", "embedding")
    visual = image_vectors(objects, image_set_uri, [outcome.item.image_id for outcome in failed])
    texts = [outcome.text for outcome in failed]
    encoder_id = encoder_of(objects, image_set_uri)
    text = _text_vectors(embedding, encoder_id, texts, lambda done: context.progress(done, n, "failures"))
    context.progress(n, n, "failures", "clustering")
    return visual, text


def image_vectors(objects: ObjectStore, image_set_uri: str, image_ids: Sequence[str]) -> NDArray[np.float32]:
    """The vectors of images of a set, (n, d) in the order of the ids.

    Raises:
        NotFound, InvalidArgument: the image set is not there, has no vectors, or lacks an image.
    """
    images = read_rows(objects, image_set_uri, Image)
    vectors = read_array(objects, image_set_uri, "vectors.npy")
    row_of = {image.image_id: row for row, image in enumerate(images)}
    if not row_of.keys() >= set(image_ids) or vectors.ndim != 2 or len(vectors) != len(images):
        raise InvalidArgument(
            "The image set is not that of the benchmark, or lacks vectors.",
            field="image_set_uri",
            value=image_set_uri,
            remedy="Name the image set that the benchmark was made from; it is a parent of the benchmark.",
        )
    rows = np.array([row_of[image_id] for image_id in image_ids], dtype=np.int64)
    return vectors[rows].astype(np.float32)


def encoder_of(objects: ObjectStore, image_set_uri: str) -> str:
    """The id of the encoder that made the vectors of an image set; "" in one that does not say it."""
    return str(read_manifest(objects, image_set_uri).configuration.get("encoder_id", ""))


def _text_vectors(
    embedding: EmbeddingServiceStub, encoder_id: str, texts: Sequence[str], report: Callable[[int], None]
) -> NDArray[np.float32]:
    parts = []
    for start in range(0, len(texts), _TEXTS_PER_CALL):
        report(start)
        chunk = texts[start : start + _TEXTS_PER_CALL]
        answer = embedding.EmbedTexts(embedding_pb2.EmbedTextsRequest(texts=chunk, encoder=encoder_id))
        parts.append(np.frombuffer(answer.vectors, dtype="<f4").reshape(len(chunk), answer.dimension))
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros((0, 0), dtype=np.float32)
