"""The events that embedding publishes, and their ids: the same fact has the same id however often it is told."""

from __future__ import annotations

from google.protobuf.message import Message

from medq.embedding.v1 import events_pb2 as pb
from services.embedding.store.tables import ImageRow, Member
from shared.events.bus import Event, event_of


class Facts:
    """Makes events on behalf of one encoder, and of a run and an operation where there are such."""

    def __init__(self, encoder_id: str, run_id: str = "", operation_id: str = "") -> None:
        self._encoder_id = encoder_id
        self._run_id = run_id
        self._operation_id = operation_id

    def ingested(self, image: ImageRow) -> Event:
        """The image is stored and waits for its vector."""
        message = pb.ImageIngested(image_id=image.image_id, image_uri=image.image_uri, encoder_id=self._encoder_id)
        return self._event(message, image)

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
        return self._event(message, image)

    def _event(self, message: Message, image: ImageRow) -> Event:
        unique = (self._encoder_id, message.SerializeToString(deterministic=True).hex())
        return event_of(message, unique, key=image.image_id, run_id=self._run_id, operation_id=self._operation_id)
