"""Runs that break off, fail or are called off, and what goes on from there."""

from __future__ import annotations

import json

import pytest

from medq.controller.v1 import controller_pb2 as pb
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.errors import Cancelled, FailedPrecondition, Unavailable
from shared.rpc.operations import await_operation
from tests.support.controller_house import (
    controller_stub,
    download,
    get_run,
    list_costs,
    report,
    start,
    unmeasured,
    until,
)


@pytest.mark.parametrize("step", ["ingest_pool", "evaluate_test", "annotate", "train"])
def test_a_run_that_was_interrupted_gives_the_report_of_one_that_was_not(step, house):
    with house.controller() as channel:
        request = start(channel, house, rounds=1)
        await_operation(channel, "r1")
        undisturbed = report(channel)
        house.services.hold(step)
        request.run_id = "r2"
        controller_stub(channel).StartRun(request)
        until(lambda: get_run(channel, "r2").operation_id.endswith(step))
    with house.controller() as channel:
        controller_stub(channel).StartRun(request)  # the same command again
        assert get_run(channel, "r2").state in ("pending", "running")
        house.services.release(step)
        await_operation(channel, "r2")
        assert unmeasured(report(channel, "r2")) == unmeasured(undisturbed)
        costs = controller_stub(channel).ListCosts(pb.ListCostsRequest(run_id="r2")).entries
    assert {entry.state for entry in costs} == {"settled"}
    assert len({entry.cost.key for entry in costs}) == len(costs)


def test_a_failed_step_fails_the_run_with_its_error_and_its_name(house):
    house.services.failing["annotate"] = "FAILED_PRECONDITION"
    with house.controller() as channel:
        start(channel, house, rounds=1)
        with pytest.raises(FailedPrecondition, match=r"annotate.*It broke") as caught:
            await_operation(channel, "r1")
        run = get_run(channel)
        told = json.loads(download(channel)["report.json"])
    assert caught.value.remedy == "Mend it."
    assert run.state == "failed"
    assert "annotate" in run.message
    assert "annotate" in told["measured"]["failure"]
    assert not told["is_complete"]
    assert told["arms"]["failure_driven"]["rounds"][0]["selection"]["selected"] == 1


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_failed_run_that_is_started_again_goes_on_from_the_step_that_failed(is_restarted, house):
    house.services.failing["annotate"] = "UNAVAILABLE"
    with house.controller() as channel:
        request = start(channel, house, rounds=1)
        with pytest.raises(Unavailable):
            await_operation(channel, "r1")
        if not is_restarted:
            house.services.failing.clear()
            controller_stub(channel).StartRun(request)
            await_operation(channel, "r1")
    with house.controller() as channel:
        house.services.failing.clear()
        controller_stub(channel).StartRun(request)
        await_operation(channel, "r1")
        told = json.loads(download(channel)["report.json"])
        costs = list_costs(controller_stub(channel), "r1")
    assert told["is_complete"]
    assert told["measured"]["failure"] is None
    asked = house.services.requests
    assert "r1/failure_driven/0/annotate/2" in asked
    assert not [name for name in asked if name.endswith("/2") and "annotate" not in name]
    assert {entry.state for entry in costs} == {"settled"}


def test_a_run_that_is_called_off_calls_off_the_operation_it_waits_on(house):
    house.services.hold("train")
    with house.controller() as channel:
        request = start(channel, house, rounds=1)
        until(lambda: get_run(channel).step == "train")
        operations_pb2_grpc.OperationsServiceStub(channel).CancelOperation(
            operations_pb2.CancelOperationRequest(operation_id="r1")
        )
        with pytest.raises(Cancelled):
            await_operation(channel, "r1")
        assert get_run(channel).state == "cancelled"
        assert house.services.cancelled == {"r1/failure_driven/0/train"}
        house.services.release("train")
        controller_stub(channel).StartRun(request)
        await_operation(channel, "r1")
        assert report(channel)["is_complete"]
