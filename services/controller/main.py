"""Puts the controller together and runs it alone."""

from __future__ import annotations

import functools
import os
import signal

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import add_ControllerServiceServicer_to_server
from services.controller.adapters.dbos_workflows import DbosWorkflows
from services.controller.adapters.operations_control import OperationsControl
from services.controller.adapters.sole_controller import SoleController
from services.controller.loop import closed_loop
from services.controller.loop.calls import Collaborators
from services.controller.migrations import SCHEMA
from services.controller.operations import ControllerOperations
from services.controller.report.reports import Reports
from services.controller.service import Controller
from services.controller.settings import ControllerSettings
from services.controller.store.egress import EgressLog
from services.controller.store.ledger import Ledger
from services.controller.store.runs import OUTBOX, RunStore
from shared.chat.endpoints import read_endpoints
from shared.database import sqlite_url
from shared.events.bus import EventBus
from shared.objects.store import ObjectStore
from shared.operations import Operations
from shared.resources import open_database
from shared.rpc.channels import Channels
from shared.rpc.input_roots import roots_of
from shared.rpc.main import serve
from shared.rpc.server import Service


def build(settings: ControllerSettings, channels: Channels, bus: EventBus, objects: ObjectStore) -> Service:
    """The composition root."""
    engine = open_database(settings, SCHEMA)
    url = settings.database_url.get_secret_value()
    sole = SoleController(url, _end_this_process) if url else None
    store, ledger, control = RunStore(engine), Ledger(engine), OperationsControl()
    reports = Reports(objects, store, ledger)
    collaborators = Collaborators(channels, objects, store, ledger, reports, control, settings.waiting_seconds)
    memory = url or sqlite_url(settings.state_folder / "controller" / "dbos.sqlite")
    workflows = DbosWorkflows(memory, functools.partial(closed_loop.run, collaborators))
    work = ControllerOperations(workflows, store, channels, settings.evaluation_replicas)
    operations = Operations(
        "controller",
        engine,
        {pb.StartRunRequest: work.run},
        owner=settings.owner,
        lease_seconds=settings.lease_seconds,
        n_workers=settings.max_runs,
        is_patient=False,  # what ended a run is remembered; the user starts it again
    )
    control.watch(operations)
    endpoints = {"controller": settings.listen, **channels.targets, **settings.public_targets}
    site = read_endpoints(settings.endpoints)
    servicer = Controller(operations, collaborators, endpoints, roots_of(settings), EgressLog(engine), site)

    def close() -> None:
        workflows.close()
        if sole is not None:
            sole.close()
        engine.dispose()

    return Service(
        name="controller",
        full_name=pb.DESCRIPTOR.services_by_name["ControllerService"].full_name,
        register=lambda server: add_ControllerServiceServicer_to_server(servicer, server),
        operations=operations,
        outbox=OUTBOX,
        engine=engine,
        objects=objects,
        close=close,
    )


def _end_this_process() -> None:
    """As an operator would: what is at work is given back, and whoever restarts processes restarts this one."""
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the controller until SIGTERM."""
    serve("controller", ControllerSettings(), build)
