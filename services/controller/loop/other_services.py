"""What a step needs of the services that it calls: their stubs, the names of their methods, which errors pass, what they have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from medq.evaluation.v1.evaluation_pb2_grpc import EvaluationServiceStub
from medq.operations.v1 import operations_pb2 as operations_pb
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from medq.oracle.v1.oracle_pb2_grpc import OracleServiceStub
from medq.retrieval.v1.retrieval_pb2_grpc import RetrievalServiceStub
from medq.training.v1.training_pb2_grpc import TrainingServiceStub

STUBS: dict[str, Callable[[grpc.Channel], Any]] = {
    "embedding": EmbeddingServiceStub,
    "retrieval": RetrievalServiceStub,
    "evaluation": EvaluationServiceStub,
    "oracle": OracleServiceStub,
    "training": TrainingServiceStub,
}
_PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


def method_of(request: Any) -> str:
    """The method that takes a request: `StartIngestRequest` -> "StartIngest"."""
    return type(request).__name__.removesuffix("Request")


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed later."""
    return isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call) and error.code() in _PASSING


def find(stub: OperationsServiceStub, operation_id: str) -> operations_pb.Operation | None:
    """An operation, or None where the service has none of this id."""
    try:
        request = operations_pb.GetOperationRequest(operation_id=operation_id)
        return stub.GetOperation(request).operation
    except grpc.RpcError as error:
        if isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise
