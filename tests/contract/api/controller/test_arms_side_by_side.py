"""Runs of several arms, which go side by side: together where nothing happens, and wherever something happens to one of them."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.events_pb2 import RoundCompleted
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.errors import Cancelled, Unavailable
from shared.events.bus import topic_of
from shared.events.sqlite import SqliteEventBus
from shared.rpc.operations import await_operation
from tests.support.controller_house import controller_stub, get_run, list_costs, report, start, unmeasured, until
from tests.support.events import each
from tests.support.run_files import write_run_files

ARMS = ["failure_driven", "random"]


def begin(channel, house, **changes):
    return start(channel, house, **{"rounds": 1, "arms": ARMS, **changes})


def again(channel, request, run_id):
    request.run_id = run_id
    controller_stub(channel).StartRun(request)


def run_alone(channel, house):
    """A run of the second arm alone, over the same files."""
    config = write_run_files(house.folder / "same", rounds=1, arms=ARMS[1:])
    request = pb.StartRunRequest(run_id="alone", config_yaml=config, base_folder=str(house.files))
    controller_stub(channel).StartRun(request)
    await_operation(channel, "alone")


def until_at_work(house, step, run_id="r1"):
    """Until both arms have asked for a step of their first round."""
    for arm in ARMS:
        house.services.await_request(f"{run_id}/{arm}/0/{step}")


def costs_of(channel, run_id):
    """Keys without the run, states and seconds, in any order: what goes on at the same time ends in any."""
    entries = list_costs(controller_stub(channel), run_id)
    return Counter((one.cost.key.replace(run_id, ""), one.state, one.cost.compute_seconds) for one in entries)


def steps_of(house, run_id, arm):
    return [name.split("/", 2)[2] for name in house.services.starts if name.startswith(f"{run_id}/{arm}/")]


def assert_each_once(house):
    assert len({*house.services.starts}) == len(house.services.starts)


def test_both_arms_train_at_the_same_time_and_each_keeps_its_order(house):
    house.services.hold("train")
    with house.controller() as channel:
        begin(channel, house)
        until_at_work(house, "train")
        run = until(lambda: (found := get_run(channel)).arm == "failure_driven" and found)
        assert (run.state, run.step) == ("running", "train")
        house.services.release("train")
        await_operation(channel, "r1")
        run_alone(channel, house)
    shared = ["0/evaluate_dev", "0/evaluate_test", "0/mine_failures"]
    assert steps_of(house, "alone", "random") == [*shared, *steps_of(house, "r1", "random")]
    assert steps_of(house, "r1", "failure_driven") == steps_of(house, "alone", "random")


def test_what_all_arms_share_in_round_0_is_made_once_and_told_of_each(house):
    with house.controller() as channel:
        begin(channel, house)
        await_operation(channel, "r1")
        told, costs = report(channel), costs_of(channel, "r1")
        run_alone(channel, house)
        alone = report(channel, "alone")
    for name in ("evaluate_dev", "evaluate_test", "mine_failures"):
        assert f"r1/random/0/{name}" not in house.services.requests
        assert costs[f"compute//failure_driven/0/{name}", "settled", 1.5] == 1
    assert {n for (key, _, _), n in costs.items() if "/0/" in key} == {1}
    assert told["arms"]["random"]["rounds"] == alone["arms"]["random"]["rounds"]
    (first,) = {one["uri"] for one in told["measured"]["steps"] if one["step"] == "mine_failures"}
    assert first


def test_failures_are_mined_once_only_by_arms_that_mine_alike(house):
    arms = [*ARMS, {"name": "coarse", "strategy": "random", "mine": {"max_clusters": 3}}]
    with house.controller() as channel:
        begin(channel, house, arms=arms)
        await_operation(channel, "r1")
    mined = [name for name in house.services.starts if name.endswith("0/mine_failures")]
    assert mined == ["r1/failure_driven/0/mine_failures", "r1/coarse/0/mine_failures"]
    assert "r1/coarse/0/evaluate_dev" not in house.services.starts


@pytest.mark.parametrize("step", ["evaluate_dev", "annotate", "train"])
@pytest.mark.parametrize("still_held", [*ARMS, "both"])
def test_a_run_that_was_interrupted_in_a_turn_gives_the_report_of_one_that_was_not(step, still_held, house):
    with house.controller() as channel:
        request = begin(channel, house)
        await_operation(channel, "r1")
        undisturbed, costs = report(channel), costs_of(channel, "r1")
        held = [f"r2/{arm}/0/{step}" for arm in ARMS if still_held in (arm, "both")]
        for name in held:
            house.services.hold(name)
        again(channel, request, "r2")
        house.services.await_request(f"r2/failure_driven/0/{step}")
        if step != "evaluate_dev":
            house.services.await_request(f"r2/random/0/{step}")
    with house.controller() as channel:
        for name in held:
            house.services.release(name)
        await_operation(channel, "r2")
        assert unmeasured(report(channel, "r2")) == unmeasured(undisturbed)
        assert costs_of(channel, "r2") == costs
    assert_each_once(house)


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("arm", ARMS)
def test_when_one_arm_fails_the_other_ends_its_step_and_only_what_failed_is_repeated(arm, is_restarted, house):
    with house.controller() as channel:
        request = begin(channel, house)
        await_operation(channel, "r1")
        undisturbed = report(channel)
        house.services.failing[f"r2/{arm}/0/train"] = "UNAVAILABLE"
        again(channel, request, "r2")
        with pytest.raises(Unavailable, match=rf"train.*{arm}"):
            await_operation(channel, "r2")
        told = report(channel, "r2")
        trained = {one["arm"] for one in told["measured"]["steps"] if one["step"] == "train"}
        assert trained == {*ARMS} - {arm}
        assert {state for _, state, _ in costs_of(channel, "r2")} == {"settled"}
        if not is_restarted:
            again(channel, request, "r2")
            await_operation(channel, "r2")
    with house.controller() as channel:
        again(channel, request, "r2")
        await_operation(channel, "r2")
        assert unmeasured(report(channel, "r2")) == unmeasured(undisturbed)
        assert {state for _, state, _ in costs_of(channel, "r2")} == {"settled"}
    assert [name for name in house.services.requests if name.endswith("/2")] == [f"r2/{arm}/0/train/2"]


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_that_the_budget_ends_lets_the_other_go_on(arm, house):
    house.services.failing[f"r1/{arm}/0/annotate"] = "BUDGET_EXHAUSTED"
    house.services.failing_field = "stop.max_usd"
    with house.controller() as channel:
        begin(channel, house)
        await_operation(channel, "r1")
        arms = report(channel)["arms"]
    assert {name: told["stop_reason"] for name, told in arms.items()} == {
        name: "budget" if name == arm else "rounds" for name in ARMS
    }


def test_a_run_with_a_limit_annotates_for_one_arm_at_a_time(house):
    house.services.hold("r1/failure_driven/0/annotate")
    with house.controller() as channel:
        begin(channel, house, stop={"max_usd": 100})
        house.services.await_request("r1/failure_driven/0/annotate")
        until(lambda: get_run(channel).step == "annotate")
        assert "r1/random/0/annotate" not in house.services.requests
        house.services.release("r1/failure_driven/0/annotate")
        await_operation(channel, "r1")
        assert report(channel)["is_complete"]


def test_a_run_is_paused_once_no_arm_has_a_step_at_work(house):
    with house.controller() as channel:
        request = begin(channel, house)
        await_operation(channel, "r1")
        undisturbed, costs = report(channel), costs_of(channel, "r1")
        for arm in ARMS:
            house.services.hold(f"r2/{arm}/0/train")
        again(channel, request, "r2")
        until_at_work(house, "train", "r2")
        controller_stub(channel).PauseRun(pb.PauseRunRequest(run_id="r2"))
        house.services.release("r2/failure_driven/0/train")
        until(lambda: get_run(channel, "r2").arm == "random")
        assert get_run(channel, "r2").state == "running"
        house.services.release("r2/random/0/train")
        until(lambda: get_run(channel, "r2").state == "paused")
        run = get_run(channel, "r2")
        assert (f"{run.arm}/{run.round}/{run.step}", run.operation_id) == ("failure_driven/1/evaluate_dev", "")
        assert not [name for name in house.services.starts if name.startswith("r2/") and "/1/" in name]
    with house.controller() as channel:
        controller_stub(channel).ResumeRun(pb.ResumeRunRequest(run_id="r2"))
        await_operation(channel, "r2")
        assert unmeasured(report(channel, "r2")) == unmeasured(undisturbed)
        assert costs_of(channel, "r2") == costs
    assert_each_once(house)


def test_a_pause_and_a_restart_while_one_arm_has_ended_its_step_let_the_other_end_it_too(house):
    house.services.hold("train")
    with house.controller() as channel:
        begin(channel, house)
        until_at_work(house, "train")
        controller_stub(channel).PauseRun(pb.PauseRunRequest(run_id="r1"))
        house.services.hold("r1/random/0/train")
        house.services.release("train")
        until(lambda: get_run(channel).arm == "random")
    with house.controller() as channel:
        until(lambda: get_run(channel).state == "running")
        house.services.release("r1/random/0/train")
        until(lambda: get_run(channel).state == "paused")
        assert {one["arm"] for one in report(channel)["measured"]["steps"] if one["step"] == "train"} == {*ARMS}
        controller_stub(channel).ResumeRun(pb.ResumeRunRequest(run_id="r1"))
        await_operation(channel, "r1")
        assert report(channel)["is_complete"]
    assert_each_once(house)


def test_a_run_that_is_called_off_calls_off_what_every_arm_waits_for(house):
    house.services.hold("train")
    with house.controller() as channel:
        request = begin(channel, house)
        until_at_work(house, "train")
        operations_pb2_grpc.OperationsServiceStub(channel).CancelOperation(
            operations_pb2.CancelOperationRequest(operation_id="r1")
        )
        with pytest.raises(Cancelled):
            await_operation(channel, "r1")
        assert house.services.cancelled == {f"r1/{arm}/0/train" for arm in ARMS}
        house.services.release("train")
        controller_stub(channel).StartRun(request)
        await_operation(channel, "r1")
        assert report(channel)["is_complete"]
    assert {name for name in house.services.requests if name.endswith("/2")} == {f"r1/{arm}/0/train/2" for arm in ARMS}


@pytest.mark.parametrize("arm", ARMS)
def test_while_people_decide_for_one_arm_the_step_of_the_other_ends(arm, house):
    house.services.leave_to_people(f"r1/{arm}/0/annotate")
    with house.controller(waiting_seconds=0) as channel:
        begin(channel, house)
        until_at_work(house, "annotate")
        until(lambda: get_run(channel).state == "waiting")
        assert get_run(channel).arm == arm
    with house.controller(waiting_seconds=0) as channel:
        house.services.release(f"r1/{arm}/0/annotate")
        await_operation(channel, "r1")
        assert report(channel)["is_complete"]
    assert_each_once(house)


def test_the_events_of_a_run_count_up(house):
    seen = []
    house.services.empty.add("select_samples")
    with house.controller() as channel:
        request = begin(channel, house)
        await_operation(channel, "r1")
        house.services.empty.clear()
        again(channel, request, "r2")
        await_operation(channel, "r2")
        bus = SqliteEventBus(house.folder / "events.sqlite")
        bus.subscribe("test", {topic_of(RoundCompleted): each(seen.append)})
        until(lambda: len(seen) == 6)
        bus.close()
    numbers = {run_id: [event.sequence for event in seen if event.key == run_id] for run_id in ("r1", "r2")}
    assert numbers == {"r1": [1, 2], "r2": [1, 2, 3, 4]}


def test_the_answers_of_each_arm_bear_its_name(house):
    with house.controller() as channel:
        begin(channel, house, rounds=0)
        await_operation(channel, "r1")
        uri = controller_stub(channel).GetReport(pb.GetReportRequest(run_id="r1")).report_uri
        request = operations_pb2.DownloadDatasetRequest(uri=uri, file_names=["answers.jsonl"])
        pieces = operations_pb2_grpc.OperationsServiceStub(channel).DownloadDataset(request)
        answers = [json.loads(line) for line in b"".join(piece.chunk for piece in pieces).splitlines()]
    own = [[{**row, "arm": ""} for row in answers if row["arm"] == arm] for arm in ARMS]
    assert own[0] == own[1] != []
