"""Embeds what is claimed: the one way in which a vector is made, for an ingest in hand and for events alike.

Workers share the images of one database: each claims a few for a while, and what a dead one left is claimed again. Claims are
small, so that replicas get even shares and none waits long for the last of another.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import zip_longest

from prometheus_client import Counter

from services.embedding.domain.images import MOST_PIXELS
from services.embedding.ports import Encoder, ImageFormats, Pixels
from services.embedding.store.images import Store
from services.embedding.work.facts import Facts
from shared.objects.store import ObjectStore

_INPUTS = Counter(
    "medq_embedding_inputs_total", "Inputs of ingests that were read, by what became of them.", ["outcome"]
)
_IMAGES = Counter("medq_embedding_images_total", "Images that were embedded.")
_Loaded = dict[str, Pixels]


class EmbeddingWorker:
    """Makes vectors; one in a process, which the event handler and the ingests at work share.

    Args:
        store: The service's tables.
        objects: Where the images lie.
        formats: Reads their stored form.
        encoder: What embeds them. It is one device, so it gets one batch at a time; meanwhile others load theirs.
        claim_size: Images that are claimed and embedded at once.
    """

    def __init__(
        self, store: Store, objects: ObjectStore, formats: ImageFormats, encoder: Encoder, claim_size: int
    ) -> None:
        self._store = store
        self._objects = objects
        self._formats = formats
        self._encoder = encoder
        self._encoding = threading.Lock()
        self.claim_size = claim_size

    @property
    def encoder_id(self) -> str:
        """Which encoder makes the vectors."""
        return self._encoder.encoder_id

    def embed(self, image_ids: Sequence[str], facts: Facts) -> int:
        """Embed those of these images that have no vector and that no other worker has in hand, and tell of each.

        While the encoder has one claim, the next is made and loaded.

        Returns: How many they were.
        """
        suspects = self._store.deaths(image_ids)
        calm = [image_id for image_id in image_ids if image_id not in suspects]
        # What a worker that died had in its claim is claimed alone, and nothing is loaded beside it.
        return self._embed_parts(self._parts(calm), facts) + sum(
            self._embed_parts([[image_id]], facts) for image_id in sorted(suspects)
        )

    def _parts(self, image_ids: Sequence[str]) -> list[list[str]]:
        """Claims of at most `claim_size` images that have no more pixels together than the largest image may have alone."""
        rows, parts, n_pixels = self._store.images(image_ids), [list[str]()], 0
        for image_id in image_ids:
            size = rows[image_id].width * rows[image_id].height if image_id in rows else 0
            n_pixels += size
            if parts[-1] and (len(parts[-1]) == self.claim_size or n_pixels > MOST_PIXELS):
                parts.append([])
                n_pixels = size
            parts[-1].append(image_id)
        return [part for part in parts if part]

    def _embed_parts(self, parts: Sequence[Sequence[str]], facts: Facts) -> int:
        n_embedded = 0
        coming: Future[_Loaded] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="embedding-load") as loader:
            for part, following in zip_longest(parts, parts[1:]):
                loaded = (coming or loader.submit(self._load, part)).result()
                coming = loader.submit(self._load, following) if following else None
                try:
                    self._embed_loaded(loaded, facts)
                except BaseException:
                    self._store.release(list(loaded))
                    if coming is not None:
                        self._store.release(list(coming.result()))
                    raise
                n_embedded += len(loaded)
        return n_embedded

    def _load(self, image_ids: Sequence[str]) -> _Loaded:
        claimed = self._store.claim(image_ids)
        try:
            rows = self._store.images(claimed)
            stored = {image_id: self._objects.read_bytes(rows[image_id].image_uri) for image_id in claimed}
            return {image_id: self._formats.load(data) for image_id, data in stored.items()}
        except BaseException:
            self._store.release(claimed)
            raise

    def _embed_loaded(self, loaded: _Loaded, facts: Facts) -> None:
        if not loaded:
            return
        with self._encoding:
            vectors = self._encoder.embed_images(list(loaded.values()))
        self._store.put_vectors(list(loaded), vectors, facts.embedded)
        _IMAGES.inc(len(loaded))


def count_input(status: str) -> None:
    """Count an input of an ingest that was read, by what became of it."""
    _INPUTS.labels(status).inc()
