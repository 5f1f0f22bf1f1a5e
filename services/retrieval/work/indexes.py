"""The indexes of the pool, one an encoder, and which of them serves those who look around.

Vectors of two encoders never meet: each has an index of its own. A pool that is embedded anew fills another index while the old
one serves; the switch is one row.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence

from services.retrieval.ports import IndexedImage, VectorIndex, VectorIndexes, Vectors
from services.retrieval.store import ServingStore
from shared.errors import FailedPrecondition, InvalidArgument, NotFound

#: It names a folder or a collection.
_ENCODER_ID = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Indexes:
    """The indexes by the ids of their encoders.

    Args:
        places: Where they lie.
        store: Which one serves.
    """

    def __init__(self, places: VectorIndexes, store: ServingStore) -> None:
        self._places = places
        self._store = store
        self._lock = threading.Lock()
        self._opened: dict[str, VectorIndex] = {}

    def of(self, encoder_id: str) -> VectorIndex:
        """The index of an encoder; one that nothing was put into finds nothing.

        Raises:
            InvalidArgument: This can be no id of an encoder.
        """
        if not _ENCODER_ID.fullmatch(encoder_id):
            remedy = "Ingest the images again with an encoder of the site."
            raise InvalidArgument("No encoder has this id.", field="encoder_id", value=encoder_id, remedy=remedy)
        with self._lock:
            if encoder_id not in self._opened:
                self._opened[encoder_id] = self._places.open(encoder_id)
            return self._opened[encoder_id]

    def filled(self, encoder_id: str) -> VectorIndex:
        """The index of an encoder that has one.

        Raises:
            NotFound: It has none.
        """
        there = self.encoder_ids()
        if encoder_id not in there:
            remedy = f"Index an image set of it first (StartReembed, StartIndexImages); there are {', '.join(there) or 'none'}."
            raise NotFound("This encoder has no index.", field="encoder_id", value=encoder_id, remedy=remedy)
        return self.of(encoder_id)

    def put(self, encoder_id: str, images: Sequence[IndexedImage], vectors: Vectors) -> None:
        """Put images into the index of their encoder; the first encoder of all is the one that serves. Raises as `upsert`."""
        index = self.of(encoder_id)
        self._store.first(self.serving_id() or encoder_id)
        index.upsert(encoder_id, images, vectors)

    def encoder_ids(self) -> list[str]:
        """The encoders that have an index, sorted."""
        return self._places.encoder_ids()

    def serving_id(self) -> str:
        """The encoder whose index serves; "" while there is none."""
        known = self._store.get()
        if not known and (there := self.encoder_ids()):  # an older release filled it
            self._store.first(there[0])
            known = self._store.get()
        return known

    def serving(self, encoder_id: str = "") -> tuple[str, VectorIndex | None]:
        """The encoder that serves and its index, which is None while there is none.

        Args:
            encoder_id: The encoder of a query; "" where it is not known.

        Raises:
            FailedPrecondition: The query is of another encoder.
        """
        known = self.serving_id()
        if encoder_id and encoder_id != known:
            raise FailedPrecondition(
                "The pool is searched by another encoder.",
                field="encoder_id",
                value=encoder_id,
                remedy=f"Embed the query with {known or 'the encoder of the first image set'}.",
            )
        return known, self.of(known) if known else None

    def switch(self, encoder_id: str, is_smaller_allowed: bool) -> str:
        """Let another index serve, from one call to the next.

        Returns: The encoder that served before.

        Raises:
            NotFound: The encoder has no index.
            FailedPrecondition: Its index lacks images, and that is not allowed.
        """
        self.filled(encoder_id)
        before = self.serving_id()
        if not is_smaller_allowed:
            self._require_all(before, encoder_id)
        self._store.switch(encoder_id)
        return before

    def close(self) -> None:
        """Release what is held."""
        with self._lock:
            for index in self._opened.values():
                index.close()
            self._opened.clear()
            self._places.close()

    def _require_all(self, before: str, after: str) -> None:
        new = self.of(after).count_by_split()
        for split, count in self.of(before).count_by_split().items():
            if new.get(split, 0) < count:
                raise FailedPrecondition(
                    f"The index of this encoder holds {new.get(split, 0)} of {count} images of the split {split}.",
                    field="encoder_id",
                    value=after,
                    remedy="Embed and index the others first, or set is_smaller_allowed.",
                )
