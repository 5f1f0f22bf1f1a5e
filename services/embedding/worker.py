"""Embeds what is claimed: the one way in which a vector is made, for an ingest in hand and for events alike.

Workers share the images of one database: each claims a batch for a while, and what a dead one left is
claimed again.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Counter

from services.embedding.adapters.images import read_png
from services.embedding.facts import Facts
from services.embedding.ports import Encoder
from services.embedding.store import Store
from shared.objects.store import ObjectStore

INPUTS = Counter(
    "medq_embedding_inputs_total", "Inputs of ingests that were read, by what became of them.", ["outcome"]
)
_IMAGES = Counter("medq_embedding_images_total", "Images that were embedded.")


class EmbeddingWorker:
    """Makes vectors.

    Args:
        store: The service's tables.
        objects: Where the images lie.
        encoder: What embeds them.
        batch_size: Images at once.
    """

    def __init__(self, store: Store, objects: ObjectStore, encoder: Encoder, batch_size: int) -> None:
        self._store = store
        self._objects = objects
        self._encoder = encoder
        self.batch_size = batch_size

    def embed(self, image_ids: Sequence[str], facts: Facts) -> None:
        """Embed those of these images that have no vector and that no other worker has in hand, and tell of each."""
        for start in range(0, len(image_ids), self.batch_size):
            claimed = self._store.claim(image_ids[start : start + self.batch_size])
            if claimed:
                self._embed_claimed(claimed, facts)

    def _embed_claimed(self, claimed: Sequence[str], facts: Facts) -> None:
        try:
            rows = self._store.images(claimed)
            pixels = [read_png(self._objects.read_bytes(rows[image_id].image_uri)) for image_id in claimed]
            vectors = self._encoder.embed_images(pixels)
        except BaseException:
            self._store.release(claimed)
            raise
        self._store.put_vectors(claimed, vectors, facts.embedded)
        _IMAGES.inc(len(claimed))
