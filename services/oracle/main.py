"""The composition root of the oracle service."""

from __future__ import annotations

import time
from functools import partial

import grpc

from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from medq.oracle.v1 import oracle_pb2 as pb
from medq.oracle.v1 import oracle_pb2_grpc as pb_grpc
from medq.oracle.v1.review_pb2_grpc import add_ReviewServiceServicer_to_server
from services.oracle.adapters.bank_files import read_bank
from services.oracle.adapters.endpoint_oracle import EndpointOracle
from services.oracle.adapters.simulated_expert import SimulatedExpert
from services.oracle.adapters.simulated_oracle import SimulatedOracle
from services.oracle.domain.prompts import VERSION
from services.oracle.domain.questions import Asking
from services.oracle.migrations import SCHEMA
from services.oracle.operations import OracleOperations
from services.oracle.review_service import Reviews
from services.oracle.service import Oracle
from services.oracle.settings import OracleSettings
from services.oracle.store.annotations import OUTBOX, OracleStore
from services.oracle.store.reviews import ReviewStore
from services.oracle.work.annotators import Makers
from services.oracle.work.review_progress import ReviewProgress
from services.oracle.work.reviews import ReviewWork
from services.oracle.work.self_annotation import SelfAnnotation
from services.oracle.work.simulated_reviews import SimulatedReviews
from shared.burned_in_text import QUARANTINE_FROM, text_doubt
from shared.chat.endpoints import read_endpoints
from shared.events.bus import EventBus
from shared.objects.images import read_image
from shared.objects.store import ObjectStore
from shared.operations import Operations
from shared.outside.calls import OutsideCalls
from shared.outside.endpoint import SiteEndpoints
from shared.resources import open_database
from shared.rpc.channels import Channels
from shared.rpc.main import serve
from shared.rpc.server import Service


def build(
    settings: OracleSettings, channels: Channels, bus: EventBus, objects: ObjectStore, site: SiteEndpoints | None = None
) -> Service:
    """Put the service together.

    Args:
        settings: Its settings.
        channels: To "controller" (the ledger) and "evaluation" (self-annotation).
        bus: Where events go; the server drains the outbox to it.
        objects: Where datasets lie.
        site: The endpoints that may be asked; None: those of the site's file.
    """
    engine = open_database(settings, SCHEMA)
    store = OracleStore(engine)
    endpoints = site or SiteEndpoints(read_endpoints(settings.endpoints), text_doubt, QUARANTINE_FROM)
    makers = _makers(settings, objects, endpoints)
    queue, ledger, bank = ReviewStore(engine), ControllerServiceStub(channels["controller"]), read_bank()

    def show(operation_id: str, done: int, total: int, message: str, is_due: bool) -> None:
        operations.tell(operation_id, done, total, message, is_due=is_due)

    def ring() -> None:
        simulated.ring()

    work = OracleOperations(
        objects,
        store,
        OutsideCalls(store, ledger),
        ReviewWork(queue, ledger, ring),
        SelfAnnotation(channels["evaluation"], objects),
        makers,
    )
    operations = Operations(
        "oracle",
        engine,
        {pb.StartAnnotateRequest: work.annotate, pb.StartImportKnownAnswersRequest: work.import_known_answers},
        owner=settings.owner,
        n_workers=settings.operation_workers,
        lease_seconds=settings.lease_seconds,
    )
    progress = ReviewProgress(queue, show)
    simulated = SimulatedReviews(queue, objects, makers.simulated_expert, progress.tell)

    def register(server: grpc.Server) -> None:
        pb_grpc.add_OracleServiceServicer_to_server(Oracle(operations, bank), server)
        add_ReviewServiceServicer_to_server(Reviews(queue, objects, progress.tell), server)

    def close() -> None:
        simulated.close()
        endpoints.close()
        engine.dispose()

    return Service(
        name="oracle",
        full_name="medq.oracle.v1.OracleService",
        also=("medq.oracle.v1.ReviewService",),
        register=register,
        operations=operations,
        outbox=OUTBOX,
        engine=engine,
        objects=objects,
        close=close,
    )


def _makers(settings: OracleSettings, objects: ObjectStore, site: SiteEndpoints) -> Makers:
    take_time = partial(time.sleep, settings.simulated_call_seconds)
    bank = read_bank()

    def endpoint_oracle(name: str, asking: Asking) -> EndpointOracle:
        endpoint = site.open(name, "oracle", "images", "policy.oracle")
        return EndpointOracle(endpoint, bank, asking, partial(read_image, objects))

    return Makers(
        simulated_oracle=partial(SimulatedOracle, take_time=take_time),
        simulated_expert=partial(SimulatedExpert, take_time=take_time),
        endpoint_oracle=endpoint_oracle,
        bank=f"{bank.common.version}, prompts {VERSION}",
    )


def main() -> None:
    """Serve."""
    serve("oracle", OracleSettings(), build)
