"""The collection that an index lies in: of which vectors it is, how it is made, when its graphs are built.

Its metadata name the encoder, and its payload indexes are there before the first point.
"""

from __future__ import annotations

import threading
import time

import grpc
from qdrant_client import QdrantClient, models

from services.retrieval.adapters.points import INDEXED_FIELDS, Space
from services.retrieval.settings import QdrantSection
from shared.errors import FailedPrecondition, Unavailable

_ENCODER = "medq_encoder_id"
_POLL_SECONDS = 0.5


class QdrantCollection:
    """A collection on a server, made by whoever comes first.

    Args:
        client: Of the server; errors are raised as it raises them.
        settings: Its name, shards and replicas.
    """

    def __init__(self, client: QdrantClient, settings: QdrantSection) -> None:
        self._client = client
        self._settings = settings
        self._lock = threading.Lock()
        self._known: Space | None = None
        self._is_prepared = False

    def space(self) -> Space | None:
        """What the collection is of; None while it is not there."""
        if self._known is None and self._client.collection_exists(self._settings.collection):
            config = self._client.get_collection(self._settings.collection).config
            vectors = config.params.vectors
            encoder_id = (config.metadata or {}).get(_ENCODER)
            if not isinstance(vectors, models.VectorParams) or not isinstance(encoder_id, str):
                raise FailedPrecondition(
                    "The collection was not made by this service, or the server is older than Qdrant 1.16.",
                    field="index.collection",
                    value=self._settings.collection,
                    remedy="Name another collection",
                )
            self._known = Space(vectors.size, encoder_id)
        return self._known

    def prepare(self, wanted: Space) -> Space:
        """What the collection is of; made where it is missing, its payload indexes in any case, before the first point."""
        with self._lock:
            if not self._is_prepared:
                if self.space() is None:
                    self._make(wanted)
                for field in INDEXED_FIELDS:  # made again without effect where it is there
                    self._client.create_payload_index(
                        self._settings.collection, field, models.PayloadSchemaType.KEYWORD, wait=True
                    )
                self._is_prepared = True
            return self.space() or wanted

    def _make(self, space: Space) -> None:
        settings = self._settings
        quantization = models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
        )
        try:
            self._client.create_collection(
                settings.collection,
                models.VectorParams(
                    size=space.dimension, distance=models.Distance.DOT, on_disk=settings.are_vectors_on_disk
                ),
                shard_number=settings.shards,
                replication_factor=settings.replication,
                write_consistency_factor=settings.write_consistency or settings.replication // 2 + 1,
                quantization_config=quantization if settings.is_quantized else None,
                metadata={_ENCODER: space.encoder_id},
            )
        except grpc.RpcError:
            if self.space() is None:  # else another process was faster
                raise

    def await_green(self) -> None:
        """Return when the graphs are built; Unavailable where that fails or takes too long."""
        deadline = time.monotonic() + self._settings.green_seconds
        while True:
            status = self._client.get_collection(self._settings.collection).status
            if status == models.CollectionStatus.GREEN:
                return
            if status == models.CollectionStatus.RED or time.monotonic() > deadline:
                raise Unavailable(
                    f"The collection is {status.value}, not green.",
                    field="index.collection",
                    value=self._settings.collection,
                    remedy="See the log of the Qdrant server; large collections need a longer index.green_seconds",
                )
            if status == models.CollectionStatus.GREY:  # after a restart it optimizes only once something changes
                self._client.update_collection(
                    self._settings.collection, optimizers_config=models.OptimizersConfigDiff()
                )
            time.sleep(_POLL_SECONDS)


def encoder_of(client: QdrantClient, name: str) -> str:
    """The encoder of a collection; "" where the service did not make it."""
    encoder_id = (client.get_collection(name).config.metadata or {}).get(_ENCODER)
    return encoder_id if isinstance(encoder_id, str) else ""
