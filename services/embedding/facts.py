"""The events that embedding publishes, and their ids: the same fact has the same id however often it is told."""

from __future__ import annotations

from datetime import UTC, datetime

from medq.embedding.v1 import events_pb2 as pb
from services.embedding.tables import ImageRow, Member
from shared.events.bus import Event, event_id

IMAGE_INGESTED = "medq.embedding.image-ingested.v1"
IMAGE_EMBEDDED = "medq.embedding.image-embedded.v1"
_SOURCE = "medq/embedding"


class Facts:
    """Makes events on behalf of one encoder, and of a run and an operation where there are such."""

    def __init__(self, encoder_id: str, run_id: str = "", operation_id: str = "") -> None:
        self._encoder_id = encoder_id
        self._run_id = run_id
        self._operation_id = operation_id

    def ingested(self, image: ImageRow) -> Event:
        """The image is stored and waits for its vector."""
        message = pb.ImageIngested(image_id=image.image_id, image_uri=image.image_uri)
        return self._event(IMAGE_INGESTED, image.image_id, message.SerializeToString(deterministic=True))

    def embedded(self, image: ImageRow, member: Member, vector: bytes) -> Event:
        """The image has its vector, as a member of a split; another description of that membership is another fact."""
        message = pb.ImageEmbedded(
            image_id=image.image_id,
            split=member.split,
            encoder_id=self._encoder_id,
            vector=vector,
            modality=member.modality,
            source_id=member.source_id,
            image_uri=image.image_uri,
            phash=image.phash,
            patient=member.patient,
            session=member.session,
        )
        return self._event(IMAGE_EMBEDDED, image.image_id, message.SerializeToString(deterministic=True))

    def _event(self, kind: str, image_id: str, data: bytes) -> Event:
        return Event(
            id=event_id(kind, self._encoder_id, data.hex()),
            type=kind,
            source=_SOURCE,
            key=image_id,
            data=data,
            time=datetime.now(UTC),
            run_id=self._run_id,
            operation_id=self._operation_id,
        )
