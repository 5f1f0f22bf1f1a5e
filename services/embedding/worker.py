"""Embeds what is claimed: the one way in which a vector is made, for an ingest in hand and for events alike.

Workers share the images of one database: each claims a few for a while, and what a dead one left is claimed again. Claims are
small, so that replicas get even shares and none waits long for the last of another.
"""

from __future__ import annotations

import threading
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
    """Makes vectors; one in a process, which the event handler and the ingests at work share.

    Args:
        store: The service's tables.
        objects: Where the images lie.
        encoder: What embeds them. It is one device, so it gets one batch at a time; meanwhile others load theirs.
        claim_size: Images that are claimed and embedded at once.
    """

    def __init__(self, store: Store, objects: ObjectStore, encoder: Encoder, claim_size: int) -> None:
        self._store = store
        self._objects = objects
        self._encoder = encoder
        self._encoding = threading.Lock()
        self.claim_size = claim_size

    @property
    def encoder_id(self) -> str:
        """Which encoder makes the vectors."""
        return self._encoder.encoder_id

    def embed(self, image_ids: Sequence[str], facts: Facts) -> int:
        """Embed those of these images that have no vector and that no other worker has in hand, and tell of each.

        Returns: How many they were.
        """
        n_embedded = 0
        for start in range(0, len(image_ids), self.claim_size):
            claimed = self._store.claim(image_ids[start : start + self.claim_size])
            if claimed:
                self._embed_claimed(claimed, facts)
                n_embedded += len(claimed)
        return n_embedded

    def _embed_claimed(self, claimed: Sequence[str], facts: Facts) -> None:
        try:
            rows = self._store.images(claimed)
            pixels = [read_png(self._objects.read_bytes(rows[image_id].image_uri)) for image_id in claimed]
            with self._encoding:
                vectors = self._encoder.embed_images(pixels)
        except BaseException:
            self._store.release(claimed)
            raise
        self._store.put_vectors(claimed, vectors, facts.embedded)
        _IMAGES.inc(len(claimed))
