"""Runs that an operator pauses: what is at work ends, nothing begins, and what goes on is the run that nobody paused."""

from __future__ import annotations

import pytest

from medq.controller.v1 import controller_pb2 as pb
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.errors import Cancelled, FailedPrecondition, NotFound
from shared.rpc.operations import await_operation
from tests.support.controller_house import (
    controller_stub,
    error_of,
    get_run,
    list_costs,
    report,
    start,
    unmeasured,
    until,
)


def pause(channel, run_id="r1"):
    return controller_stub(channel).PauseRun(pb.PauseRunRequest(run_id=run_id)).run


def resume(channel, run_id="r1"):
    return controller_stub(channel).ResumeRun(pb.ResumeRunRequest(run_id=run_id)).run


def cancel(channel, run_id="r1"):
    request = operations_pb2.CancelOperationRequest(operation_id=run_id)
    operations_pb2_grpc.OperationsServiceStub(channel).CancelOperation(request)


def until_paused(channel, run_id="r1"):
    until(lambda: get_run(channel, run_id).state == "paused")
    return get_run(channel, run_id)


def costs_of(channel, run_id):
    """Keys without the run, attempts, states and seconds."""
    entries = list_costs(controller_stub(channel), run_id)
    return [(one.cost.key.replace(run_id, ""), one.attempt, one.state, one.cost.compute_seconds) for one in entries]


@pytest.mark.parametrize(
    ("step", "following"),
    [
        ("ingest_pool", "-/0/ingest_dev"),
        ("evaluate_test", "failure_driven/0/mine_failures"),
        ("train", "failure_driven/1/evaluate_dev"),
    ],
)
def test_a_paused_run_goes_on_after_a_restart_as_if_nobody_had_paused_it(step, following, house):
    with house.controller() as channel:
        request = start(channel, house, rounds=1)
        await_operation(channel, "r1")
        undisturbed, costs = report(channel), costs_of(channel, "r1")
        house.services.hold(step)
        request.run_id = "r2"
        controller_stub(channel).StartRun(request)
        until(lambda: get_run(channel, "r2").operation_id.endswith(step))
        at_work = pause(channel, "r2")
        assert (at_work.state, at_work.step, at_work.is_pause_asked) == ("running", step, True)
        house.services.release(step)
        run = until_paused(channel, "r2")
        assert (f"{run.arm}/{run.round}/{run.step}", run.operation_id, run.is_pause_asked) == (following, "", True)
    with house.controller() as channel:
        controller_stub(channel).StartRun(request)
        assert until_paused(channel, "r2") == run
        assert f"r2/{following}" not in house.services.starts
        assert not resume(channel, "r2").is_pause_asked
        await_operation(channel, "r2")
        assert unmeasured(report(channel, "r2")) == unmeasured(undisturbed)
        assert costs_of(channel, "r2") == costs
    assert len(set(house.services.starts)) == len(house.services.starts)


def test_a_pause_and_a_restart_in_the_middle_of_a_step_keep_what_the_step_gives(house):
    house.services.hold("annotate")
    with house.controller() as channel:
        start(channel, house, rounds=1)
        until(lambda: get_run(channel).operation_id.endswith("annotate"))
        pause(channel)
    with house.controller() as channel:
        until(lambda: get_run(channel).state == "running")
        house.services.release("annotate")
        assert until_paused(channel).step == "build_dataset"
        resume(channel)
        await_operation(channel, "r1")
    assert len(set(house.services.starts)) == len(house.services.starts)


def test_what_is_asked_twice_changes_nothing(house):
    house.services.hold("ingest_pool")
    with house.controller() as channel:
        start(channel, house, rounds=0)
        until(lambda: get_run(channel).operation_id)
        assert pause(channel) == pause(channel)
        house.services.release("ingest_pool")
        until_paused(channel)
        assert pause(channel).state == "paused"
        for _ in range(2):
            assert not resume(channel).is_pause_asked
        await_operation(channel, "r1")
        ended = get_run(channel)
        assert resume(channel) == ended
        refused = error_of(controller_stub(channel).PauseRun, pb.PauseRunRequest(run_id="r1"))
        assert isinstance(refused, FailedPrecondition)
        assert refused.remedy
        assert get_run(channel) == ended


def test_a_run_that_is_none_is_neither_paused_nor_resumed(house):
    with house.controller() as channel:
        stub = controller_stub(channel)
        assert isinstance(error_of(stub.PauseRun, pb.PauseRunRequest(run_id="r1")), NotFound)
        assert isinstance(error_of(stub.ResumeRun, pb.ResumeRunRequest(run_id="r1")), NotFound)


def test_a_run_is_paused_before_it_has_begun(house):
    house.services.hold("ingest_pool")
    with house.controller(max_runs=1) as channel:
        request = start(channel, house, rounds=0)
        until(lambda: get_run(channel).operation_id)
        request.run_id = "r2"
        controller_stub(channel).StartRun(request)
        assert pause(channel, "r2").state == "paused"
        house.services.release("ingest_pool")
        await_operation(channel, "r1")
        until_paused(channel, "r2")
        assert not [name for name in house.services.starts if name.startswith("r2/")]
        resume(channel, "r2")
        await_operation(channel, "r2")
        assert unmeasured(report(channel, "r2")) == unmeasured(report(channel, "r1"))


def test_a_paused_run_leaves_its_place_to_another(house):
    with house.controller(max_runs=1) as channel:
        house.services.hold("ingest_pool")
        request = start(channel, house, rounds=0)
        until(lambda: get_run(channel).operation_id)
        pause(channel)
        house.services.release("ingest_pool")
        until_paused(channel)
        request.run_id = "r2"
        controller_stub(channel).StartRun(request)
        await_operation(channel, "r2")
        assert get_run(channel).state == "paused"


def test_a_run_that_waits_for_people_pauses_when_they_have_decided(house):
    house.services.leave_to_people("annotate")
    with house.controller(waiting_seconds=0) as channel:
        start(channel, house, rounds=1)
        until(lambda: get_run(channel).state == "waiting")
        run = pause(channel)
        assert (run.state, run.is_pause_asked) == ("waiting", True)
        house.services.release("annotate")
        assert until_paused(channel).step == "build_dataset"
        resume(channel)
        await_operation(channel, "r1")
        assert report(channel)["is_complete"]


def test_a_paused_run_is_called_off_as_any_other_and_goes_on_when_it_is_started_again(house):
    house.services.hold("annotate")
    with house.controller() as channel:
        request = start(channel, house, rounds=1)
        until(lambda: get_run(channel).operation_id.endswith("annotate"))
        pause(channel)
        house.services.release("annotate")
        until_paused(channel)
        cancel(channel)
        with pytest.raises(Cancelled):
            await_operation(channel, "r1")
        run = get_run(channel)
        assert (run.state, run.is_pause_asked) == ("cancelled", False)
        assert not house.services.cancelled
        controller_stub(channel).StartRun(request)
        await_operation(channel, "r1")
        assert report(channel)["is_complete"]


def test_the_shards_of_an_evaluation_are_one_step(house):
    house.services.hold("evaluate_dev.1")
    with house.controller(evaluation_replicas=2) as channel:
        start(channel, house, rounds=0)
        until(lambda: "r1/failure_driven/0/evaluate_dev.1" in house.services.requests)
        assert pause(channel).state == "running"
        house.services.release("evaluate_dev.1")
        assert until_paused(channel).step == "evaluate_dev"
        resume(channel)
        await_operation(channel, "r1")
        assert report(channel)["is_complete"]
