"""The long work of training: import of a model, dataset versions, fine-tuning. Each may be run again at any time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from filelock import FileLock, Timeout
from google.protobuf.message import Message

from medq.training.v1 import events_pb2
from medq.training.v1 import training_pb2 as pb
from services.training.building import DatasetBuilder
from services.training.domain.loss import Reduction
from services.training.ports import TrainingLauncher, TrainingProgress
from services.training.settings import TrainingSettings
from services.training.spec import TrainingSpec
from services.training.store import TrainingStore
from shared.checkpoints import require_checkpoint
from shared.errors import Conflict, InvalidArgument
from shared.events.bus import Event, event_id
from shared.objects.dataset import materialize, read_manifest, write_dataset
from shared.objects.store import ObjectStore
from shared.operations import OperationContext

PUBLISHED = "medq.training.dataset-published.v1"
TRAINED = "medq.training.model-trained.v1"
REDUCTIONS: dict[int, Reduction] = {
    pb.LOSS_REDUCTION_TOKEN_MEAN: "token_mean",
    pb.LOSS_REDUCTION_SAMPLE_SUM: "sample_sum",
}
#: What a trainer leaves beside a model and no one needs who uses it.
_TRAINER_FILES = (
    "optimizer*",
    "scheduler*",
    "rng_state*",
    "scaler*",
    "trainer_state.json",
    "training_args.bin",
)


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
            InvalidArgument: The folder is no complete checkpoint.
        """
        folder = local_folder(request.folder_uri)
        require_checkpoint(folder)
        context.check_cancelled()
        return self._store_model(folder, parents=[], configuration={"origin": "import"}, seed=0)

    def build_dataset(self, context: OperationContext, request: pb.StartBuildDatasetRequest) -> str:
        """Make a dataset version and tell of it; see `DatasetBuilder.build`."""
        uri, n_samples = self._builder.build(request, context.progress)
        message = events_pb2.DatasetPublished(dataset_uri=uri, n_samples=n_samples)
        self._publish(PUBLISHED, context, request, message)
        return uri

    def train(self, context: OperationContext, request: pb.StartTrainRequest) -> str:
        """Fine-tune a model by Eq. (4), going on from the last checkpoint of an attempt that was stopped."""
        spec = self._spec(request)

        def show(step: TrainingProgress) -> None:
            context.progress(step.step, step.n_steps, "steps", f"loss {step.loss:.4f}")

        with _alone(spec.output_folder):
            spec_path = spec.output_folder / "spec.json"
            spec_path.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
            if not spec.result_folder.is_dir():
                self._launcher.run(spec_path, show, context.is_cancelled)
        parents = [request.model_uri, request.dataset_uri]
        uri = self._store_model(spec.result_folder, parents, spec.settings, request.seed)
        message = events_pb2.ModelTrained(model_uri=uri, parent_uri=request.model_uri)
        self._publish(TRAINED, context, request, message)
        shutil.rmtree(spec.checkpoints_folder, ignore_errors=True)
        return uri

    def _spec(self, request: pb.StartTrainRequest) -> TrainingSpec:
        """The job, in a folder of its own that a restart finds again, and another operation of the same request."""
        read_manifest(self._objects, request.model_uri, "model")
        read_manifest(self._objects, request.dataset_uri, "dataset")
        state = self._settings.state_folder
        model = materialize(self._objects, request.model_uri, state / "cache").resolve()
        dataset = materialize(self._objects, request.dataset_uri, state / "cache").resolve()
        asked = pb.StartTrainRequest.FromString(request.SerializeToString())
        asked.ClearField("operation_id")
        digest = hashlib.sha256(asked.SerializeToString(deterministic=True)).hexdigest()
        return TrainingSpec(
            model_folder=model,
            train_file=dataset / "train.jsonl",
            image_folder=dataset,
            output_folder=(state / "training" / "work" / digest).resolve(),
            learning_rate=request.learning_rate,
            epochs=int(request.epochs),
            batch_size=request.batch_size,
            gradient_accumulation=request.gradient_accumulation,
            warmup_ratio=request.warmup_ratio,
            weight_decay=request.weight_decay,
            loss_reduction=REDUCTIONS[request.loss],
            max_length=request.max_length or longest_input(model),
            checkpoint_every=self._settings.checkpoint_every,
            seed=request.seed,
            device=self._settings.device,
            n_threads=self._settings.n_torch_threads,
        )

    def _store_model(
        self, folder: Path, parents: list[str], configuration: Mapping[str, Any], seed: int
    ) -> str:
        """Store a checkpoint folder without hidden files and what belongs to the trainer."""
        staging = self._settings.state_folder / "training"
        staging.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=staging) as name:
            copy = Path(name) / "model"
            ignored = shutil.ignore_patterns(".*", "checkpoint-*", *_TRAINER_FILES)
            shutil.copytree(folder, copy, ignore=ignored, copy_function=_link)
            if not (copy / "training.json").exists():
                (copy / "training.json").write_text(json.dumps(configuration, sort_keys=True))
            n_bytes = sum(path.stat().st_size for path in copy.rglob("*") if path.is_file())
            return write_dataset(
                self._objects,
                "model",
                copy,
                counts={"bytes": n_bytes},
                parents=parents,
                configuration=dict(configuration),
                seed=seed,
            )

    def _publish(
        self,
        kind: str,
        context: OperationContext,
        request: pb.StartBuildDatasetRequest | pb.StartTrainRequest,
        message: Message,
    ) -> None:
        self._store.publish(
            Event(
                id=event_id(kind, context.operation_id),
                type=kind,
                source="medq/training",
                key=request.run_id,
                data=message.SerializeToString(deterministic=True),
                time=datetime.now(UTC),
                run_id=request.run_id,
                round=request.round,
                operation_id=context.operation_id,
                sequence=request.round,
            )
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder of a job.

    Raises:
        Conflict: Another operation of the same request is at work in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout:
        remedy = "Wait for that operation; ListOperations names it."
        raise Conflict("The same training is at work already.", remedy=remedy) from None


def local_folder(uri: str) -> Path:
    """The folder that a path or a `file:///...` URI names.

    Raises:
        InvalidArgument: Another scheme, another host, or a path that no folder can have.
    """
    try:
        parts = urlparse(uri)
        folder = Path(unquote(parts.path) if parts.scheme else uri)
        folder.resolve().exists()
        is_path = parts.scheme in ("", "file") and not parts.netloc and parts.path
    except (OSError, RuntimeError, ValueError):
        is_path = ""
    if is_path:
        return folder
    raise InvalidArgument(
        "Not a folder on this machine.",
        field="folder_uri",
        value=uri,
        remedy="Give a path or file:///path that the training service can read.",
    )


def longest_input(model_folder: Path) -> int:
    """The model's own limit in tokens: `max_position_embeddings` of its text model.

    Raises:
        InvalidArgument: Its configuration names none.
    """
    config = json.loads((model_folder / "config.json").read_text(encoding="utf-8"))
    limit = config.get("text_config", config).get("max_position_embeddings")
    if not isinstance(limit, int):
        raise InvalidArgument(
            "The model names no longest input.", field="max_length", remedy="Set max_length in tokens."
        )
    return limit


def _link(source: str, target: str) -> str:
    """Give a file a second name where the file system can, else copy it."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)
    return target
