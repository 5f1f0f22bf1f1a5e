"""Puts the embedding service together, and runs it alone."""

from __future__ import annotations

from medq.embedding.v1 import embedding_pb2 as pb
from medq.embedding.v1 import embedding_pb2_grpc as pb_grpc
from services.embedding.migrations import SCHEMA
from services.embedding.ports import Encoder
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
    settings: EmbeddingSettings, channels: Channels, bus: EventBus, objects: ObjectStore, encoder: Encoder | None = None
) -> Service:
    """The composition root.

    Args:
        settings: Its settings.
        channels: Unused: the service calls no other.
        bus: Where its events come from.
        objects: Where images and image sets lie.
        encoder: What embeds; None: image statistics.
    """
    from services.embedding.adapters.child import Limits
    from services.embedding.adapters.readers import ImageReaders
    from services.embedding.adapters.sources import FileSource
    from services.embedding.adapters.statistics_encoder import StatisticsEncoder
    from services.embedding.handlers import make_handlers
    from services.embedding.operations import EmbeddingOperations
    from services.embedding.service import Embedding
    from services.embedding.store.images import Store
    from services.embedding.store.marks import Marks
    from services.embedding.store.tables import OUTBOX
    from services.embedding.work.reading import InputReader
    from services.embedding.work.worker import EmbeddingWorker

    if settings.has_public_key and not is_local(settings.listen):
        remedy = "Set hash_key (MEDQ_EMBEDDING_HASH_KEY) to a secret of this site."
        get_logger("embedding").warning("public_hash_key", remedy=remedy)
    engine = open_database(settings, SCHEMA)
    encoder = encoder or StatisticsEncoder()
    store = Store(engine, encoder.encoder_id, settings.owner or "embedding")
    key = settings.hash_key.get_secret_value().encode()
    formats = ImageReaders(settings.readers, Limits(settings.reader_memory_mib, settings.reader_seconds))
    worker = EmbeddingWorker(store, objects, formats, encoder, settings.claim_size)
    cache = settings.state_folder / "cache"
    source = FileSource()
    marks, roots = Marks(engine), roots_of(settings)
    reader = InputReader(store, marks, objects, source, formats, key, settings.batch_size)
    work = EmbeddingOperations(store, marks, objects, source, reader, worker, cache, roots)
    operations = Operations(
        "embedding",
        engine,
        {pb.StartIngestRequest: work.ingest},
        owner=settings.owner,
        lease_seconds=settings.lease_seconds,
    )

    def close() -> None:
        formats.close()
        engine.dispose()

    servicer = Embedding(store, encoder, operations, roots)
    return Service(
        name="embedding",
        full_name="medq.embedding.v1.EmbeddingService",
        register=lambda server: pb_grpc.add_EmbeddingServiceServicer_to_server(servicer, server),
        operations=operations,
        handlers=make_handlers(worker, encoder.encoder_id),
        outbox=OUTBOX,
        engine=engine,
        objects=objects,
        close=close,
    )


def main() -> None:
    """Run the service until it is told to stop."""
    serve("embedding", EmbeddingSettings(), build)
