"""What retrieval does about events: an embedded image goes into the index of its encoder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from medq.embedding.v1 import events_pb2
from services.retrieval.ports import IndexedImage
from services.retrieval.work.indexes import Indexes
from shared.events.bus import BatchHandler, Event, topic_of

_FIELDS = tuple(IndexedImage.__dataclass_fields__)


def make_handlers(indexes: Indexes) -> dict[str, BatchHandler]:
    """Event type to handler."""
    return {topic_of(events_pb2.ImageEmbedded): index_embedded(indexes)}


def index_embedded(indexes: Indexes) -> Callable[[Sequence[Event]], None]:
    """A handler that puts a batch of embedded images into the indexes, in their order; idempotent by encoder, image and split."""

    def handle(events: Sequence[Event]) -> None:
        by_encoder: dict[str, list[events_pb2.ImageEmbedded]] = defaultdict(list)
        for event in events:
            message = events_pb2.ImageEmbedded.FromString(event.data)
            by_encoder[message.encoder_id].append(message)
        for encoder_id, messages in by_encoder.items():
            images = [IndexedImage(**{name: getattr(m, name) for name in _FIELDS}) for m in messages]
            vectors = np.stack([np.frombuffer(message.vector, dtype="<f4") for message in messages])
            indexes.put(encoder_id, images, vectors)

    return handle
