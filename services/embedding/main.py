"""Puts the embedding service together, and runs it alone."""

from __future__ import annotations

from medq.embedding.v1 import embedding_pb2 as pb
from medq.embedding.v1 import embedding_pb2_grpc as pb_grpc
from services.embedding.migrations import SCHEMA
from services.embedding.ports import Encoder, Encoders
from services.embedding.settings import EmbeddingSettings
from shared.events.bus import EventBus
from shared.logs import get_logger
from shared.objects.store import ObjectStore
from shared.operations import Operations
from shared.resources import open_database
from shared.rpc.channels import Channels, is_local
from shared.rpc.input_roots import roots_of
from shared.rpc.main import serve
from shared.rpc.server import Service


def build(
    settings: EmbeddingSettings,
    channels: Channels,
    bus: EventBus,
    objects: ObjectStore,
    encoders: Encoders | None = None,
) -> Service:
    """The composition root.

    Args:
        settings: Its settings.
        channels: Unused: the service calls no other.
        bus: Where its events come from.
        objects: Where images and image sets lie.
        encoders: What embeds; None: those of the settings.
    """
    from services.embedding.adapters.child import Limits
    from services.embedding.adapters.encoders import SiteEncoders
    from services.embedding.adapters.readers import ImageReaders
    from services.embedding.adapters.sources import FileSource
    from services.embedding.handlers import make_handlers
    from services.embedding.operations import EmbeddingOperations
    from services.embedding.service import Embedding
    from services.embedding.store.images import Store
    from services.embedding.store.marks import Marks
    from services.embedding.store.tables import OUTBOX
    from services.embedding.work.depths import Depths
    from services.embedding.work.modalities import ModalityGuesser
    from services.embedding.work.reading import InputReader
    from services.embedding.work.serving import Serving, Servings
    from services.embedding.work.worker import EmbeddingWorker

    if settings.has_public_key and not is_local(settings.listen):
        remedy = "Set hash_key (MEDQ_EMBEDDING_HASH_KEY) to a secret of this site."
        get_logger("embedding").warning("public_hash_key", remedy=remedy)
    engine = open_database(settings, SCHEMA)
    encoders = encoders or SiteEncoders(settings.encoders, settings.is_int8_used, settings.device)
    key = settings.hash_key.get_secret_value().encode()
    formats = ImageReaders(
        settings.readers,
        Limits(settings.reader_memory_mib, settings.reader_seconds),
        n_slices=settings.volume_slices,
        is_depth_kept=settings.is_depth_kept,
    )
    source, marks, roots = FileSource(), Marks(engine), roots_of(settings)

    def make_serving(encoder: Encoder) -> Serving:
        store = Store(engine, encoder.encoder_id, settings.owner or "embedding")
        reader = InputReader(store, marks, objects, formats, key, settings.batch_size)
        worker = EmbeddingWorker(store, objects, formats, encoder, settings.claim_size)
        return Serving(store, reader, worker, ModalityGuesser(encoder) if settings.is_modality_guessed else None)

    servings = Servings(encoders, make_serving)
    work = EmbeddingOperations(servings, marks, objects, source, settings.state_folder / "cache", roots)
    operations = Operations(
        "embedding",
        engine,
        {pb.StartIngestRequest: work.ingest, pb.StartReembedRequest: work.reembed},
        owner=settings.owner,
        lease_seconds=settings.lease_seconds,
    )

    def close() -> None:
        formats.close()
        engine.dispose()

    depths = Depths(objects, formats)
    servicer = Embedding(servings.get("").store, encoders, operations, objects, roots, depths)
    return Service(
        name="embedding",
        full_name="medq.embedding.v1.EmbeddingService",
        register=lambda server: pb_grpc.add_EmbeddingServiceServicer_to_server(servicer, server),
        operations=operations,
        handlers=make_handlers(servings),
        outbox=OUTBOX,
        engine=engine,
        objects=objects,
        close=close,
    )


def main() -> None:
    """Run the service until it is told to stop."""
    serve("embedding", EmbeddingSettings(), build)
