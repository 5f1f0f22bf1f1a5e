"""Runs that wait for people."""

from __future__ import annotations

import pytest

from medq.controller.v1 import controller_pb2 as pb
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.errors import Cancelled
from shared.rpc.operations import await_operation, find
from tests.support.controller_house import controller_stub, get_run, report, start, unmeasured, until


def test_a_run_that_waits_for_people_holds_no_thread_and_goes_on_when_they_have_decided(house):
    house.services.leave_to_people("annotate")
    with house.controller(waiting_seconds=0, max_runs=1) as channel:
        start(channel, house, rounds=1)
        until(lambda: get_run(channel).state == "waiting")
        progress = find(channel, "r1").progress
        assert (progress.done, progress.total, progress.message) == (12, 40, "waiting for reviews: 12 of 40")
        house.services.release("annotate")
        await_operation(channel, "r1")
        assert report(channel)["is_complete"]


def test_a_run_that_waits_leaves_its_place_to_another(house):
    house.services.leave_to_people("annotate")
    with house.controller(waiting_seconds=0, max_runs=1) as channel:
        request = start(channel, house, rounds=1)
        until(lambda: get_run(channel).state == "waiting")
        request.run_id = "r2"
        controller_stub(channel).StartRun(request)
        until(lambda: get_run(channel, "r2").state == "waiting")
        house.services.release("annotate")
        await_operation(channel, "r1")
        await_operation(channel, "r2")
        assert unmeasured(report(channel, "r1")) == unmeasured(report(channel, "r2"))


def test_a_run_that_waits_for_people_outlives_the_controller(house):
    house.services.leave_to_people("annotate")
    with house.controller(waiting_seconds=0) as channel:
        request = start(channel, house, rounds=1)
        until(lambda: get_run(channel).state == "waiting")
    with house.controller(waiting_seconds=0) as channel:
        controller_stub(channel).StartRun(request)
        assert get_run(channel).state in ("waiting", "running")
    with house.controller(waiting_seconds=0) as channel:
        house.services.release("annotate")
        await_operation(channel, "r1")
        assert report(channel)["is_complete"]
        costs = controller_stub(channel).ListCosts(pb.ListCostsRequest(run_id="r1")).entries
    assert {entry.state for entry in costs} == {"settled"}
    assert len({entry.cost.key for entry in costs}) == len(costs)


def test_a_run_that_is_called_off_while_it_waits_calls_off_what_it_waits_for(house):
    house.services.leave_to_people("annotate")
    with house.controller(waiting_seconds=0) as channel:
        request = start(channel, house, rounds=1)
        until(lambda: get_run(channel).state == "waiting")
        operations_pb2_grpc.OperationsServiceStub(channel).CancelOperation(
            operations_pb2.CancelOperationRequest(operation_id="r1")
        )
        with pytest.raises(Cancelled):
            await_operation(channel, "r1")
        assert house.services.cancelled == {"r1/failure_driven/0/annotate"}
        house.services.release("annotate")
        controller_stub(channel).StartRun(request)
        await_operation(channel, "r1")
        assert report(channel)["is_complete"]
