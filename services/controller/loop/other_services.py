"""What a step needs of the services that it calls: the RPCs that start operations, and what they have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import grpc

from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from medq.evaluation.v1.evaluation_pb2_grpc import EvaluationServiceStub
from medq.oracle.v1.oracle_pb2_grpc import OracleServiceStub
from medq.retrieval.v1.retrieval_pb2_grpc import RetrievalServiceStub
from medq.training.v1.training_pb2_grpc import TrainingServiceStub


class StartRequest(Protocol):
    """A `Start...Request`."""

    operation_id: str


RequestT = TypeVar("RequestT", bound=StartRequest)


@dataclass(frozen=True)
class Start(Generic[RequestT]):
    """An RPC that starts an operation: whose it is, and the method of the stub on a channel."""

    service: str
    method: Callable[[grpc.Channel], Callable[[RequestT], object]]


INGEST = Start("embedding", lambda channel: EmbeddingServiceStub(channel).StartIngest)
INDEX_IMAGES = Start("retrieval", lambda channel: RetrievalServiceStub(channel).StartIndexImages)
SELECT_SAMPLES = Start("retrieval", lambda channel: RetrievalServiceStub(channel).StartSelectSamples)
IMPORT_BENCHMARK = Start("evaluation", lambda channel: EvaluationServiceStub(channel).StartImportBenchmark)
EVALUATE = Start("evaluation", lambda channel: EvaluationServiceStub(channel).StartEvaluate)
GENERATE = Start("evaluation", lambda channel: EvaluationServiceStub(channel).StartGenerate)
MINE_FAILURES = Start("evaluation", lambda channel: EvaluationServiceStub(channel).StartMineFailures)
IMPORT_KNOWN_ANSWERS = Start("oracle", lambda channel: OracleServiceStub(channel).StartImportKnownAnswers)
ANNOTATE = Start("oracle", lambda channel: OracleServiceStub(channel).StartAnnotate)
IMPORT_MODEL = Start("training", lambda channel: TrainingServiceStub(channel).StartImportModel)
BUILD_DATASET = Start("training", lambda channel: TrainingServiceStub(channel).StartBuildDataset)
TRAIN = Start("training", lambda channel: TrainingServiceStub(channel).StartTrain)
