"""The composition root of the training service."""

from __future__ import annotations

from functools import partial

from google.protobuf.message import Message

from medq.retrieval.v1.retrieval_pb2_grpc import RetrievalServiceStub
from medq.training.v1 import training_pb2 as pb
from medq.training.v1 import training_pb2_grpc as pb_grpc
from services.training.adapters.job_process import JobProcess
from services.training.adapters.subprocess_launcher import SubprocessLauncher
from services.training.dataset.building import DatasetBuilder
from services.training.migrations import SCHEMA
from services.training.operations import TrainingOperations
from services.training.ports import TrainingLauncher
from services.training.service import Training
from services.training.settings import TrainingSettings
from services.training.store import OUTBOX, TrainingStore
from shared.events.bus import EventBus
from shared.gpus import visible_gpus
from shared.objects.store import ObjectStore
from shared.operation_context import OperationFunction
from shared.operations import Operations
from shared.resources import open_database
from shared.rpc.channels import Channels
from shared.rpc.input_roots import roots_of
from shared.rpc.main import serve
from shared.rpc.server import Service


def build(
    settings: TrainingSettings,
    channels: Channels,
    bus: EventBus,
    objects: ObjectStore,
    launcher: TrainingLauncher | None = None,
) -> Service:
    """Put the service together.

    Args:
        settings: Its settings.
        channels: To "retrieval" (the leakage gate).
        bus: Where the outbox is drained to, by the server.
        objects: Where models and datasets lie.
        launcher: Runs jobs; None: Kubernetes Jobs or child processes on this machine, as the settings say.
    """
    engine = open_database(settings, SCHEMA)
    store = TrainingStore(engine)
    builder = DatasetBuilder(objects, RetrievalServiceStub(channels["retrieval"]))
    work = TrainingOperations(objects, store, builder, launcher or _launcher(settings, objects), settings)
    functions: dict[type[Message], OperationFunction] = {
        pb.StartImportModelRequest: work.import_model,
        pb.StartBuildDatasetRequest: work.build_dataset,
        pb.StartTrainRequest: work.train,
    }
    operations = Operations(
        "training",
        engine,
        functions,
        owner=settings.owner,
        n_workers=settings.operation_workers,
        lease_seconds=settings.lease_seconds,
    )
    return Service(
        name="training",
        full_name="medq.training.v1.TrainingService",
        register=partial(pb_grpc.add_TrainingServiceServicer_to_server, Training(operations, roots_of(settings))),
        operations=operations,
        outbox=OUTBOX,
        engine=engine,
        objects=objects,
        close=engine.dispose,
    )


def _launcher(settings: TrainingSettings, objects: ObjectStore) -> TrainingLauncher:
    """Where jobs run."""
    if settings.kubernetes.namespace:
        from services.training.adapters.kubernetes_launcher import kubernetes_launcher

        return kubernetes_launcher(settings)
    process = JobProcess(gpus=visible_gpus() if settings.device == "auto" else ())
    return SubprocessLauncher(objects, settings.state_folder, process, settings.device, settings.n_torch_threads)


def main() -> None:
    """Serve until SIGTERM."""
    serve("training", TrainingSettings(), build)
