"""Calls of reviewers and operators to the queue of a real oracle server."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from medq.oracle.v1 import oracle_pb2
from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.oracle_pb2_grpc import OracleServiceStub
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from shared.errors import MedqError
from shared.status import from_rpc_error
from tests.support.oracle_house import REVIEW, House, until_waiting


def decide(channel: grpc.Channel, task: pb.ReviewTask, **changes: Any) -> pb.DecideTaskResponse:
    given = {"action": pb.REVIEW_ACTION_ACCEPT, "active_seconds": 20.0, "reviewer": "ann", "revision": task.revision}
    return ReviewServiceStub(channel).DecideTask(pb.DecideTaskRequest(task_id=task.task_id, **{**given, **changes}))


def refused(call: Any, *arguments: Any, **changes: Any) -> MedqError:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **changes)
    return from_rpc_error(caught.value)


def begin_measured(house: House, channel: grpc.Channel, **review: Any) -> None:
    """Have a selection annotated by people who are measured."""
    request = house.request(house.known_answers(channel), "op", expert=REVIEW)
    request.policy.review.CopyFrom(oracle_pb2.ReviewPolicy(**review))
    OracleServiceStub(channel).StartAnnotate(request)
    until_waiting(channel, "op")


def lease(channel: grpc.Channel, reviewer: str, count: int = 50) -> list[pb.ReviewTask]:
    request = pb.LeaseTasksRequest(reviewer=reviewer, count=count, seconds=60)
    return list(ReviewServiceStub(channel).LeaseTasks(request).tasks)


def waiting_for_third(channel: grpc.Channel, least: int) -> list[pb.ReviewTask]:
    """What a third expert gets, once the operation has seen who disagrees."""
    operations = operations_pb2_grpc.OperationsServiceStub(channel)
    request = operations_pb2.WaitOperationRequest(operation_id="op")
    request.wait.FromSeconds(10)
    for _ in range(50):
        if len(found := lease(channel, "eve")) >= least:
            return found
        request.seen_revision = operations.WaitOperation(request).operation.revision
    raise AssertionError("nobody asks a third expert")
