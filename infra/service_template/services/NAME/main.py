"""The composition root of the NAME service."""

from __future__ import annotations

from medq.NAME.v1 import NAME_pb2 as pb
from medq.NAME.v1 import NAME_pb2_grpc as pb_grpc
from services.NAME.migrations import SCHEMA
from services.NAME.operations import CLASSOperations
from services.NAME.service import CLASS
from services.NAME.settings import CLASSSettings
from shared.events.bus import EventBus
from shared.objects.store import ObjectStore
from shared.operations import Operations
from shared.resources import open_database
from shared.rpc.channels import Channels
from shared.rpc.main import serve
from shared.rpc.server import Service


def build(settings: CLASSSettings, channels: Channels, bus: EventBus, objects: ObjectStore) -> Service:
    """Put the service together.

    Args:
        settings: Its settings.
        channels: Channels to other services.
        bus: The events.
        objects: The object store.
    """
    engine = open_database(settings, SCHEMA)
    work = CLASSOperations(objects)
    operations = Operations(
        "NAME", engine, {pb.StartCountRequest: work.count}, owner=settings.owner, lease_seconds=settings.lease_seconds
    )
    servicer = CLASS(operations)
    return Service(
        name="NAME",
        full_name="medq.NAME.v1.CLASSService",
        register=lambda server: pb_grpc.add_CLASSServiceServicer_to_server(servicer, server),
        operations=operations,
        objects=objects,
        close=engine.dispose,
    )


def main() -> None:
    """Serve until told to stop."""
    serve("NAME", CLASSSettings(), build)
