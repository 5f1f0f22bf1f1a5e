"""What embedding does about events: an ingested image is embedded, by whichever replica is free."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medq.embedding.v1 import events_pb2 as pb
from services.embedding.work.facts import Facts
from services.embedding.work.worker import EmbeddingWorker
from shared.events.bus import BatchHandler, Event, topic_of


def make_handlers(worker: EmbeddingWorker, encoder_id: str) -> dict[str, BatchHandler]:
    """Event type to handler."""
    return {topic_of(pb.ImageIngested): embed_ingested(worker, encoder_id)}


def embed_ingested(worker: EmbeddingWorker, encoder_id: str) -> Callable[[Sequence[Event]], None]:
    """A handler that embeds the images of a batch; those that another worker has in hand are left to it."""

    def handle(events: Sequence[Event]) -> None:
        image_ids = sorted({pb.ImageIngested.FromString(event.data).image_id for event in events})
        worker.embed(image_ids, Facts(encoder_id, events[0].run_id, events[0].operation_id))

    return handle
