"""The servicer of `medq.training.v1.TrainingService`: checks a request, then notes it as an operation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import grpc

from medq.training.v1 import training_pb2 as pb
from medq.training.v1 import training_pb2_grpc as pb_grpc
from services.training.operations import REDUCTIONS
from shared.errors import InvalidArgument
from shared.limits import MOST_IN_A_BATCH, MOST_SAMPLES, MOST_STEPS
from shared.operations import Operations
from shared.paths import local_path
from shared.perceptual_hash import MAX_DISTANCE
from shared.rpc.checks import require_between, require_round, require_uri, require_uris

#: numpy seeds with 32 bits.
_MAX_SEED = 2**32 - 1
_MAX_EPOCHS = 10_000


class Training(pb_grpc.TrainingServiceServicer):
    """Starts the operations of training.

    Args:
        operations: The service's operations.
        input_roots: Folders in which a model to import must lie.
    """

    def __init__(self, operations: Operations, input_roots: Sequence[Path]) -> None:
        self._operations = operations
        self._input_roots = input_roots

    def StartImportModel(
        self, request: pb.StartImportModelRequest, context: grpc.ServicerContext
    ) -> pb.StartImportModelResponse:
        """See the proto."""
        local_path(request.folder_uri, "folder_uri", self._input_roots)
        return pb.StartImportModelResponse(operation_id=self._operations.start(request))

    def StartBuildDataset(
        self, request: pb.StartBuildDatasetRequest, context: grpc.ServicerContext
    ) -> pb.StartBuildDatasetResponse:
        """See the proto."""
        require_uri("decisions_uri", request.decisions_uri)
        if request.replay_uri:
            require_uri("replay_uri", request.replay_uri)
        for field in ("image_set_uris", "guard_uris"):  # the leakage gate needs both
            require_uris(field, getattr(request, field), least=1)
        require_uris("earlier_uris", request.earlier_uris)
        require_round(request.round)
        require_between("twin_similarity", request.twin_similarity, 0, 1)
        require_between("replay_ratio", request.replay_ratio, 0, 1000)
        require_between("total_samples", request.total_samples, 0, MOST_SAMPLES)
        if request.total_samples and not request.replay_uri:
            remedy = "Name the benchmark whose items fill up the dataset in replay_uri, or leave total_samples 0."
            raise InvalidArgument(
                "Nothing can be replayed.", field="total_samples", value=request.total_samples, remedy=remedy
            )
        require_between("phash_distance", request.phash_distance, 0, MAX_DISTANCE)
        if not request.is_quality_assurance_off:
            require_between("tfidf_threshold", request.tfidf_threshold, math.nextafter(0, 1), 1)
        return pb.StartBuildDatasetResponse(operation_id=self._operations.start(request))

    def StartTrain(self, request: pb.StartTrainRequest, context: grpc.ServicerContext) -> pb.StartTrainResponse:
        """See the proto."""
        require_uri("model_uri", request.model_uri)
        require_uri("dataset_uri", request.dataset_uri)
        require_between("learning_rate", request.learning_rate, math.nextafter(0, 1), 1)
        require_between("epochs", request.epochs, 1, _MAX_EPOCHS)
        if request.epochs != int(request.epochs):
            raise InvalidArgument(
                "Only whole passes over the data.", field="epochs", value=request.epochs, remedy="Choose 1, 2, 3, ..."
            )
        require_between("steps", request.steps, 0, MOST_STEPS)
        require_between("batch_size", request.batch_size, 1, MOST_IN_A_BATCH)
        require_between("gradient_accumulation", request.gradient_accumulation, 1, MOST_IN_A_BATCH)
        require_between("warmup_ratio", request.warmup_ratio, 0, 0.99)
        require_between("weight_decay", request.weight_decay, 0, 1)
        require_round(request.round)
        require_between("seed", request.seed, 0, _MAX_SEED)
        if request.loss not in REDUCTIONS:
            raise InvalidArgument(
                "The form of the loss must be chosen.",
                field="loss",
                value=request.loss,
                remedy="LOSS_REDUCTION_TOKEN_MEAN or LOSS_REDUCTION_SAMPLE_SUM.",
            )
        return pb.StartTrainResponse(operation_id=self._operations.start(request))
