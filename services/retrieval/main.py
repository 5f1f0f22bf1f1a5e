"""Puts the retrieval service together, and runs it alone."""

from __future__ import annotations

from medq.retrieval.v1 import retrieval_pb2 as pb
from medq.retrieval.v1 import retrieval_pb2_grpc as pb_grpc
from services.retrieval.migrations import SCHEMA
from services.retrieval.ports import VectorIndexes
from services.retrieval.settings import RetrievalSettings
from shared.events.bus import EventBus
from shared.objects.store import ObjectStore
from shared.operations import Operations
from shared.resources import open_database
from shared.rpc.channels import Channels
from shared.rpc.main import serve
from shared.rpc.server import Service


def build(settings: RetrievalSettings, channels: Channels, bus: EventBus, objects: ObjectStore) -> Service:
    """The composition root."""
    from services.retrieval.handlers import make_handlers
    from services.retrieval.operations import RetrievalOperations
    from services.retrieval.service import Retrieval
    from services.retrieval.store import SelectionStore, ServingStore
    from services.retrieval.work.indexes import Indexes

    engine = open_database(settings, SCHEMA)
    indexes = Indexes(open_indexes(settings), ServingStore(engine))
    work = RetrievalOperations(indexes, objects, SelectionStore(engine), settings.batch_size)
    operations = Operations(
        "retrieval",
        engine,
        {pb.StartIndexImagesRequest: work.index_images, pb.StartSelectSamplesRequest: work.select_samples},
        owner=settings.owner,
        lease_seconds=settings.lease_seconds,
    )
    servicer = Retrieval(indexes, objects, operations)

    def close() -> None:
        indexes.close()
        engine.dispose()

    return Service(
        name="retrieval",
        full_name="medq.retrieval.v1.RetrievalService",
        register=lambda server: pb_grpc.add_RetrievalServiceServicer_to_server(servicer, server),
        operations=operations,
        handlers=make_handlers(indexes),
        objects=objects,
        close=close,
    )


def open_indexes(settings: RetrievalSettings) -> VectorIndexes:
    """Where the vector indexes lie: on a Qdrant server, or in the state folder."""
    if settings.index.url:
        from services.retrieval.adapters.qdrant_connection import connect
        from services.retrieval.adapters.qdrant_server import QdrantServerIndexes

        return QdrantServerIndexes(connect(settings.index), settings.index)
    from services.retrieval.adapters.qdrant_edge import QdrantEdgeIndexes

    return QdrantEdgeIndexes(settings.state_folder / "retrieval", settings.search_threads)


def main() -> None:
    """Run the service until it is told to stop."""
    serve("retrieval", RetrievalSettings(), build)
