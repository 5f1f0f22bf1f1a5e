"""The composition root of the oracle service."""

from __future__ import annotations

import time
from functools import partial

from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from medq.oracle.v1 import oracle_pb2 as pb
from medq.oracle.v1 import oracle_pb2_grpc as pb_grpc
from services.oracle.adapters.simulated_expert import SimulatedExpert
from services.oracle.adapters.simulated_oracle import SimulatedOracle
from services.oracle.migrations import SCHEMA
from services.oracle.operations import OracleOperations
from services.oracle.service import Oracle
from services.oracle.settings import OracleSettings
from services.oracle.store import OUTBOX, OracleStore
from services.oracle.work.self_annotation import SelfAnnotation
from shared.events.bus import EventBus
from shared.objects.store import ObjectStore
from shared.operations import Operations
from shared.outside.calls import OutsideCalls
from shared.resources import open_database
from shared.rpc.channels import Channels
from shared.rpc.main import serve
from shared.rpc.server import Service


def build(settings: OracleSettings, channels: Channels, bus: EventBus, objects: ObjectStore) -> Service:
    """Put the service together.

    Args:
        settings: Its settings.
        channels: To "controller" (the ledger) and "evaluation" (self-annotation).
        bus: Where events go; the server drains the outbox to it.
        objects: Where datasets lie.
    """
    engine = open_database(settings, SCHEMA)
    store = OracleStore(engine)
    take_time = partial(time.sleep, settings.simulated_call_seconds)
    work = OracleOperations(
        objects,
        store,
        OutsideCalls(store, ControllerServiceStub(channels["controller"])),
        SelfAnnotation(channels["evaluation"], objects),
        make_oracle=partial(SimulatedOracle, take_time=take_time),
        make_expert=partial(SimulatedExpert, take_time=take_time),
    )
    operations = Operations(
        "oracle",
        engine,
        {pb.StartAnnotateRequest: work.annotate, pb.StartImportKnownAnswersRequest: work.import_known_answers},
        owner=settings.owner,
        n_workers=settings.operation_workers,
        lease_seconds=settings.lease_seconds,
    )
    return Service(
        name="oracle",
        full_name="medq.oracle.v1.OracleService",
        register=partial(pb_grpc.add_OracleServiceServicer_to_server, Oracle(operations)),
        operations=operations,
        outbox=OUTBOX,
        engine=engine,
        objects=objects,
        close=engine.dispose,
    )


def main() -> None:
    """Serve."""
    serve("oracle", OracleSettings(), build)
