"""The long work of training: import of a model, dataset versions, fine-tuning. Each may be run again at any time."""

from __future__ import annotations

import hashlib

from google.protobuf.message import Message
from prometheus_client import Counter

from medq.training.v1 import events_pb2
from medq.training.v1 import training_pb2 as pb
from services.training.dataset.building import DatasetBuilder
from services.training.domain.loss import Reduction
from services.training.job.log import TrainingProgress
from services.training.job.model_files import import_model, longest_input
from services.training.job.spec import TrainingJob
from services.training.ports import TrainingLauncher
from services.training.settings import TrainingSettings
from services.training.store import TrainingStore
from shared.events.bus import event_of
from shared.objects.dataset import read_manifest
from shared.objects.store import ObjectStore
from shared.operation_context import OperationContext
from shared.paths import local_path
from shared.rpc.input_roots import roots_of

_STEPS = Counter("medq_training_steps_total", "Optimiser steps that were done.")
REDUCTIONS: dict[int, Reduction] = {
    pb.LOSS_REDUCTION_TOKEN_MEAN: "token_mean",
    pb.LOSS_REDUCTION_SAMPLE_SUM: "sample_sum",
}


class TrainingOperations:
    """The long operations of the training service.

    Args:
        objects: Where models and datasets lie.
        store: Where events are left.
        builder: Makes dataset versions.
        launcher: Runs fine-tuning jobs.
        settings: Folders, device, threads.
    """

    def __init__(
        self,
        objects: ObjectStore,
        store: TrainingStore,
        builder: DatasetBuilder,
        launcher: TrainingLauncher,
        settings: TrainingSettings,
    ) -> None:
        self._objects = objects
        self._store = store
        self._builder = builder
        self._launcher = launcher
        self._settings = settings

    def import_model(self, context: OperationContext, request: pb.StartImportModelRequest) -> str:
        """Put a checkpoint folder into the object store.

        Raises:
            InvalidArgument: The folder is no complete checkpoint, or a link leads out of it.
            PermissionDenied: It lies outside the folders that may be read.
        """
        folder = local_path(request.folder_uri, "folder_uri", roots_of(self._settings))
        uri, n_left_out = import_model(self._objects, folder, self._settings.state_folder / "training")
        if n_left_out:
            context.progress(
                1, 1, "models", f"{n_left_out} files and folders are no part of a checkpoint and were left out"
            )
        return uri

    def build_dataset(self, context: OperationContext, request: pb.StartBuildDatasetRequest) -> str:
        """Make a dataset version and tell of it; see `DatasetBuilder.build`."""
        uri, n_samples = self._builder.build(request, context.progress)
        self._tell(context, request, events_pb2.DatasetPublished(dataset_uri=uri, n_samples=n_samples))
        return uri

    def train(self, context: OperationContext, request: pb.StartTrainRequest) -> str:
        """Fine-tune a model by Eq. (4), going on from the last checkpoint of an attempt that was stopped."""

        def show(step: TrainingProgress) -> None:
            context.progress(step.step, step.n_steps, "steps", f"loss {step.loss:.4f}")

        uri = self._launcher.run(self._job(request), show, context.is_cancelled)
        self._tell(context, request, events_pb2.ModelTrained(model_uri=uri, parent_uri=request.model_uri))
        return uri

    def _job(self, request: pb.StartTrainRequest) -> TrainingJob:
        """The job, under a key that a restart finds again, and another operation of the same request."""
        read_manifest(self._objects, request.model_uri, "model")
        read_manifest(self._objects, request.dataset_uri, "dataset")
        asked = pb.StartTrainRequest.FromString(request.SerializeToString())
        asked.ClearField("operation_id")
        return TrainingJob(
            key=hashlib.sha256(asked.SerializeToString(deterministic=True)).hexdigest(),
            model_uri=request.model_uri,
            dataset_uri=request.dataset_uri,
            learning_rate=request.learning_rate,
            epochs=int(request.epochs),
            steps=request.steps,
            batch_size=request.batch_size,
            gradient_accumulation=request.gradient_accumulation,
            warmup_ratio=request.warmup_ratio,
            weight_decay=request.weight_decay,
            loss_reduction=REDUCTIONS[request.loss],
            max_length=request.max_length or longest_input(self._objects, request.model_uri),
            checkpoint_every=self._settings.checkpoint_every,
            seed=request.seed,
        )

    def _tell(
        self, context: OperationContext, request: pb.StartBuildDatasetRequest | pb.StartTrainRequest, fact: Message
    ) -> None:
        """Have an event published; the operation makes it unique."""
        event = event_of(
            fact,
            [context.operation_id],
            key=request.run_id,
            run_id=request.run_id,
            round=request.round,
            operation_id=context.operation_id,
            sequence=request.round,
        )
        self._store.publish(event)
