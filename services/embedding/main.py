"""Puts the embedding service together, and runs it alone."""

from __future__ import annotations

from medq.embedding.v1 import embedding_pb2 as pb
from medq.embedding.v1 import embedding_pb2_grpc as pb_grpc
from services.embedding.migrations import SCHEMA
from services.embedding.ports import Encoder
from services.embedding.settings import EmbeddingSettings
from shared.events.bus import EventBus
from shared.objects.store import ObjectStore
from shared.operations import Operations
from shared.resources import open_database
from shared.rpc.channels import Channels
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
    from services.embedding.adapters.dicom import quiet_pydicom
    from services.embedding.adapters.formats import FileFormats
    from services.embedding.adapters.sources import FileSource
    from services.embedding.adapters.statistics_encoder import StatisticsEncoder
    from services.embedding.handlers import make_handlers
    from services.embedding.operations import EmbeddingOperations
    from services.embedding.service import Embedding
    from services.embedding.store.images import Store
    from services.embedding.store.tables import OUTBOX
    from services.embedding.work.worker import EmbeddingWorker

    quiet_pydicom()
    engine = open_database(settings, SCHEMA)
    encoder = encoder or StatisticsEncoder()
    store = Store(engine, encoder.encoder_id, settings.owner or "embedding")
    key = settings.hash_key.get_secret_value().encode()
    formats = FileFormats()
    worker = EmbeddingWorker(store, objects, formats, encoder, settings.claim_size)
    cache = settings.state_folder / "cache"
    source = FileSource()
    roots = roots_of(settings)
    work = EmbeddingOperations(store, objects, source, formats, worker, key, settings.batch_size, cache, roots)
    operations = Operations(
        "embedding",
        engine,
        {pb.StartIngestRequest: work.ingest},
        owner=settings.owner,
        lease_seconds=settings.lease_seconds,
    )
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
        close=engine.dispose,
    )


def main() -> None:
    """Run the service until it is told to stop."""
    serve("embedding", EmbeddingSettings(), build)
