"""What embedding does about events: an ingested image is embedded, by whichever replica is free."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from medq.embedding.v1 import events_pb2 as pb
from services.embedding.work.facts import Facts
from services.embedding.work.serving import Servings
from shared.events.bus import BatchHandler, Event, topic_of


def make_handlers(servings: Servings) -> dict[str, BatchHandler]:
    """Event type to handler."""
    return {topic_of(pb.ImageIngested): embed_ingested(servings)}


def embed_ingested(servings: Servings) -> Callable[[Sequence[Event]], None]:
    """A handler that embeds the images of a batch; those that another worker has in hand are left to it.

    An event of an encoder that this process does not have ends as a dead letter; its image is embedded by who has its ingest.
    """

    def handle(events: Sequence[Event]) -> None:
        by_encoder: dict[str, set[str]] = defaultdict(set)
        for event in events:
            message = pb.ImageIngested.FromString(event.data)
            by_encoder[message.encoder_id].add(message.image_id)
        for encoder_id, image_ids in sorted(by_encoder.items()):
            worker = servings.get(encoder_id).worker
            worker.embed(sorted(image_ids), Facts(worker.encoder_id, events[0].run_id, events[0].operation_id))

    return handle
