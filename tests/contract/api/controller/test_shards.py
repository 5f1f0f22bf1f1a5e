"""Evaluations over several replicas of the evaluation service."""

from __future__ import annotations

import pytest

from medq.controller.v1 import controller_pb2 as pb
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.errors import Cancelled, Unavailable
from shared.rpc.operations import await_operation
from tests.support.controller_house import controller_stub, get_run, report, start, unmeasured, until
from tests.support.run_files import write_run_files


def test_an_evaluation_over_replicas_is_asked_in_shards_and_then_as_one(house):
    with house.controller(evaluation_replicas=2) as channel:
        start(channel, house, rounds=1)
        await_operation(channel, "r1")
        told = report(channel)
    asked = house.services.requests
    for name in ("r1/failure_driven/0/evaluate_dev", "r1/failure_driven/1/evaluate_test"):
        whole, shards = asked[name], [asked[f"{name}.{shard}"] for shard in range(2)]
        assert [(shard.n_shards, shard.shard) for shard in shards] == [(2, 0), (2, 1)]
        for shard in shards:
            shard.operation_id, shard.n_shards, shard.shard = whole.operation_id, 0, 0
            assert shard == whole
    with house.controller() as channel:
        request = pb.StartRunRequest(
            run_id="r2", config_yaml=write_run_files(house.folder / "same", rounds=1), base_folder=str(house.files)
        )
        controller_stub(channel).StartRun(request)
        await_operation(channel, "r2")
        assert not [name for name in asked if name.startswith("r2/") and "evaluate_dev." in name]
        assert unmeasured(report(channel, "r2")) == unmeasured(told)


def test_a_run_keeps_the_number_of_replicas_that_it_was_begun_with(house):
    house.services.hold("evaluate_test.1")
    with house.controller(evaluation_replicas=2) as channel:
        start(channel, house, rounds=1)
        until(lambda: get_run(channel).operation_id.endswith("evaluate_test.1"))
    with house.controller(evaluation_replicas=3) as channel:
        house.services.release("evaluate_test.1")
        await_operation(channel, "r1")
    assert {name[-2:] for name in house.services.requests if "evaluate_" in name} == {"ev", "st", ".0", ".1"}


def test_a_shard_that_failed_is_the_one_that_is_tried_again(house):
    house.services.failing["evaluate_dev.0"] = "UNAVAILABLE"
    with house.controller(evaluation_replicas=2) as channel:
        request = start(channel, house, rounds=0)
        with pytest.raises(Unavailable, match="evaluate_dev"):
            await_operation(channel, "r1")
        house.services.failing.clear()
        controller_stub(channel).StartRun(request)
        await_operation(channel, "r1")
        assert report(channel)["is_complete"]
    again = [name for name in house.services.requests if name.endswith("/2")]
    assert again == ["r1/failure_driven/0/evaluate_dev.0/2"]


def test_a_run_that_is_called_off_calls_off_every_shard(house):
    house.services.hold("evaluate_dev.0")
    house.services.hold("evaluate_dev.1")
    with house.controller(evaluation_replicas=2) as channel:
        start(channel, house, rounds=0)
        house.services.await_request("r1/failure_driven/0/evaluate_dev.1")
        operations_pb2_grpc.OperationsServiceStub(channel).CancelOperation(
            operations_pb2.CancelOperationRequest(operation_id="r1")
        )
        with pytest.raises(Cancelled):
            await_operation(channel, "r1")
    assert house.services.cancelled == {f"r1/failure_driven/0/evaluate_dev.{shard}" for shard in range(2)}
