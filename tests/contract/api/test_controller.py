"""The real controller, against small stand-ins of the services that it calls."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import jsonschema
import pytest
import yaml

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from medq.controller.v1.events_pb2 import RoundCompleted
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from medq.retrieval.v1 import retrieval_pb2
from services.controller.main import build
from services.controller.settings import ControllerSettings
from shared.errors import (
    AlreadyExists,
    BudgetExhausted,
    Cancelled,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from shared.events.bus import topic_of
from shared.events.sqlite import SqliteEventBus
from shared.objects.folder import FolderObjectStore
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation, find
from shared.status import from_rpc_error
from tests.support.events import each
from tests.support.loop_services import LoopServices, serve
from tests.support.run_files import write_run_files
from tests.support.servers import running, short_folder

DOCS = Path(__file__).parents[3] / "docs"


class House:
    """A controller, and the services that it calls."""

    def __init__(self, folder):
        self.folder = folder
        self.objects = FolderObjectStore(folder / "objects")
        self.services = LoopServices(self.objects)
        self.server, self.targets = serve(self.services, folder)
        self.files = folder / "files"

    @contextmanager
    def controller(self, **overrides):
        """The controller as one process has it; used again, it is the next process on the same state."""
        settings = ControllerSettings(
            state_folder=self.folder / "state", listen=f"unix:{self.folder}/c.sock", **overrides
        )
        bus = SqliteEventBus(self.folder / "events.sqlite")
        with ExitStack() as stack:
            stack.callback(bus.close)
            channels = stack.enter_context(Channels(self.targets))
            service = build(settings, channels, bus, self.objects)
            yield stack.enter_context(running(service, bus, settings))


@pytest.fixture
def house():
    with short_folder() as folder:
        house = House(folder)
        yield house
        house.server.stop(0).wait()


def start(channel, house, run_id="r1", **changes):
    config = write_run_files(house.files, **changes)
    request = pb.StartRunRequest(run_id=run_id, config_yaml=config, base_folder=str(house.files))
    ControllerServiceStub(channel).StartRun(request)
    return request


def report(channel, run_id="r1"):
    response = ControllerServiceStub(channel).GetReport(pb.GetReportRequest(run_id=run_id))
    return json.loads(response.report_json)


def unmeasured(told):
    return json.dumps({key: value for key, value in told.items() if key != "measured"}, sort_keys=True)


def controller_stub(channel):
    return ControllerServiceStub(channel)


def error_of(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        consume(call(request))
    return from_rpc_error(caught.value)


def consume(result):
    """A stream fails where it is read."""
    return list(result) if hasattr(result, "__iter__") else result


def get_run(channel, run_id="r1"):
    return controller_stub(channel).GetRun(pb.GetRunRequest(run_id=run_id)).run


def until(condition):
    """Poll with a deadline."""
    deadline = time.monotonic() + 20
    pause = threading.Event()
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError
        pause.wait(0.02)
    return found


def test_a_run_of_two_arms_ends_with_a_report_that_its_answers_bear_out(house):
    with house.controller() as channel:
        start(channel, house, arms=["failure_driven", "random"])
        await_operation(channel, "r1")
        told = report(channel)
        files = download(channel)
    jsonschema.validate(told, json.loads((DOCS / "report.schema.json").read_text()))
    assert told["is_complete"]
    assert [arm["stop_reason"] for arm in told["arms"].values()] == ["rounds", "rounds"]
    assert [facts["round"] for facts in told["arms"]["random"]["rounds"]] == [0, 1, 2]
    assert files["report.json"].decode() == json.dumps(told, sort_keys=True, indent=2) + "\n"
    assert files["report.html"].startswith(b"<!doctype html>")
    answers = [json.loads(line) for line in files["answers.jsonl"].splitlines()]
    for name, arm in told["arms"].items():
        for facts in arm["rounds"]:
            for split in ("dev", "test"):
                place = (name, facts["round"], split)
                right = [
                    row["correct"] is True
                    for row in answers
                    if (row["arm"], row["round"], row["split"]) == place and row["evaluated"]
                ]
                overall = facts[split]["perception"]["overall"]
                assert (overall["n"], overall["value"]) == (len(right), sum(right) / len(right))


@pytest.mark.parametrize("silent", [{"ct", "mri"}, {"mri"}])
def test_a_model_that_falls_silent_after_a_round_regresses_and_is_not_promoted(house, silent):
    house.services.silent = silent
    with house.controller() as channel:
        start(channel, house)
        await_operation(channel, "r1")
        arm = report(channel)["arms"]["failure_driven"]
    assert arm["stop_reason"] == "regression"
    base, trained = arm["rounds"]
    assert trained["is_promoted"] is False
    assert {one["modality"] for one in trained["decision"]["regressions"]} <= {*silent, "overall"}
    assert trained["decision"]["regressions"]
    fallen = trained["dev"]["perception"]["by_modality"]["mri"]
    assert (fallen["value"], fallen["coverage"], fallen["n"]) == (
        0.0,
        0.0,
        base["dev"]["perception"]["by_modality"]["mri"]["n"],
    )


def test_a_modality_that_could_not_be_evaluated_is_named_and_keeps_a_round_from_promotion(house):
    house.services.lost = {"mri"}
    with house.controller() as channel:
        start(channel, house)
        await_operation(channel, "r1")
        told = report(channel)
    jsonschema.validate(told, json.loads((DOCS / "report.schema.json").read_text()))
    arm = told["arms"]["failure_driven"]
    trained = arm["rounds"][1]
    assert trained["is_promoted"] is False
    (named,) = trained["decision"]["regressions"]
    assert (named["modality"], named["loss"]) == ("mri", None)
    assert arm["stop_reason"] != "regression"
    assert trained["dev"]["perception"]["by_modality"]["mri"]["unscored"] > 0


def test_the_loop_asks_as_the_paper_says(house):
    with house.controller() as channel:
        start(channel, house, rounds=1, seed=5)
        await_operation(channel, "r1")
    asked = house.services.requests
    annotate, train = asked["r1/failure_driven/0/annotate"], asked["r1/failure_driven/0/train"]
    dev, test = asked["r1/failure_driven/1/evaluate_dev"], asked["r1/failure_driven/1/evaluate_test"]
    assert annotate.policy.is_cold_start
    assert annotate.policy.target_error_rate == 0.12
    assert annotate.calibration_uris == []
    assert annotate.model_uri == asked["r1/failure_driven/0/evaluate_dev"].model_uri
    assert (train.learning_rate, train.epochs) == (2e-5, 3)
    assert (dev.n_runs, dev.sampling.temperature, dev.sampling.seed) == (2, 1.0, 5)
    assert (test.n_runs, test.sampling.temperature) == (1, 0.0)
    assert (
        asked["r1/failure_driven/0/select_samples"].guard_uris == asked["r1/failure_driven/0/build_dataset"].guard_uris
    )
    assert "r1/failure_driven/1/mine_failures" not in asked
    assert dev.model_uri != train.model_uri


def test_the_threshold_is_fitted_on_the_earlier_decisions_of_the_arm(house):
    with house.controller() as channel:
        start(channel, house, rounds=3, arms=["failure_driven", "random"])
        await_operation(channel, "r1")
        steps = report(channel)["measured"]["steps"]
    asked = house.services.requests
    made = {(step["arm"], step["round"]): step["uri"] for step in steps if step["step"] == "annotate"}
    for arm in ("failure_driven", "random"):
        for number in (1, 2):
            request = asked[f"r1/{arm}/{number}/annotate"]
            assert request.calibration_uris == [made[arm, earlier] for earlier in range(number)]
            assert not request.policy.is_cold_start


def test_a_threshold_that_is_set_is_not_fitted(house):
    with house.controller() as channel:
        start(channel, house, rounds=1, annotate={"tau_entropy": 0.25})
        await_operation(channel, "r1")
    policy = house.services.requests["r1/failure_driven/0/annotate"].policy
    assert (policy.tau_entropy, policy.target_error_rate) == (0.25, 0.0)


def test_dev_is_guarded_by_the_images_of_test_alone_and_rounds_by_both(house):
    with house.controller() as channel:
        start(channel, house, rounds=1)
        await_operation(channel, "r1")
    asked = house.services.requests
    dev, test, pool = (asked[f"r1/-/0/import_{split}"] for split in ("dev", "test", "pool"))
    select = asked["r1/failure_driven/0/select_samples"]
    assert list(dev.guard_uris) == [test.image_set_uri]
    assert list(test.guard_uris) == list(pool.guard_uris) == []
    assert list(select.guard_uris) == [dev.image_set_uri, test.image_set_uri]
    assert {request.twin_similarity for request in (dev, select, asked["r1/failure_driven/0/build_dataset"])} == {0.6}


def test_dev_that_is_not_to_be_guarded_is_not(house):
    with house.controller() as channel:
        files = {"pool": "pool", "pool_answers": "pool_answers.tsv", "dev": "dev.tsv", "test": "test.tsv"}
        start(channel, house, rounds=1, data={**files, "dev_guarded": False})
        await_operation(channel, "r1")
        assert report(channel)["config"]["data"]["dev_guarded"] is False
    assert list(house.services.requests["r1/-/0/import_dev"].guard_uris) == []


def test_each_round_is_told_what_its_arm_was_trained_on_before(house):
    with house.controller() as channel:
        start(channel, house, rounds=2)
        await_operation(channel, "r1")
    asked = house.services.requests
    first, second = (asked[f"r1/failure_driven/{r}/build_dataset"] for r in range(2))
    assert list(first.earlier_uris) == []
    assert list(second.earlier_uris) == [asked["r1/failure_driven/0/train"].dataset_uri]


def test_an_arm_without_a_strategy_draws_by_contrast(house):
    with house.controller() as channel:
        select = {"neighbours": 3, "tau_pool_share": 0.25}
        start(channel, house, rounds=1, arms=[{"name": "ours"}, "failure_driven"], select=select)
        await_operation(channel, "r1")
        told = report(channel)
    ours, paper = (house.services.requests[f"r1/{arm}/0/select_samples"] for arm in ("ours", "failure_driven"))
    assert (ours.strategy, paper.strategy) == (
        retrieval_pb2.STRATEGY_FAILURE_CONTRAST,
        retrieval_pb2.STRATEGY_FAILURE_DRIVEN,
    )
    assert (ours.neighbours, ours.tau_pool_share, ours.tau_sim) == (3, 0.25, 0.75)
    richness = told["arms"]["ours"]["rounds"][0]["selection"]["richness"]
    assert [row["cell"] for row in richness["cells"]] == ["modality:ct+attribute:metal_artifact"]


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


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("mine_failures", "no_failures"),
        ("select_samples", "no_samples"),
        ("annotate", "no_decisions"),
        ("build_dataset", "no_training_samples"),
    ],
)
def test_a_step_that_finds_nothing_ends_the_arm_and_not_the_run(step, reason, house):
    house.services.empty.add(step)
    with house.controller() as channel:
        start(channel, house, arms=["failure_driven", "random"])
        await_operation(channel, "r1")
        told = report(channel)
    assert [arm["stop_reason"] for arm in told["arms"].values()] == [reason, reason]
    jsonschema.validate(told, json.loads((DOCS / "report.schema.json").read_text()))


def test_an_arm_that_gains_nothing_stops_at_its_plateau(house):
    house.services.is_learning = False
    with house.controller() as channel:
        start(channel, house, rounds=5)
        await_operation(channel, "r1")
        arm = report(channel)["arms"]["failure_driven"]
    assert (arm["stop_reason"], len(arm["rounds"])) == ("plateau", 2)


def events_of(house, n):
    """The rounds that were published, when there are so many."""
    seen = []
    bus = SqliteEventBus(house.folder / "events.sqlite")
    bus.subscribe("test", {topic_of(RoundCompleted): each(seen.append)})
    until(lambda: len(seen) == n)
    bus.close()
    return [RoundCompleted.FromString(event.data) for event in seen]


def trained_in(told, round_number):
    """The URI of the model that a round trained."""
    steps = told["measured"]["steps"]
    return next(step["uri"] for step in steps if (step["step"], step["round"]) == ("train", round_number))


def test_small_losses_of_a_modality_in_every_round_end_the_arm_and_its_best_model_comes_out(house):
    """Eight points a round, each within the allowance of ten, while the other modality gains ten."""
    house.services.n_items = 100
    house.services.is_right = lambda item, trained: (
        (item < 80 - 8 * trained) if item % 2 else (item < 20 + 10 * trained)
    )
    with house.controller() as channel:
        start(channel, house, rounds=5)
        await_operation(channel, "r1")
        told = report(channel)
        events = events_of(house, 3)
    arm = told["arms"]["failure_driven"]
    assert (arm["stop_reason"], [facts["is_promoted"] for facts in arm["rounds"]]) == (
        "regression",
        [True, True, False],
    )
    (lost,) = arm["rounds"][2]["decision"]["regressions"]
    assert (lost["modality"], round(lost["loss"], 9)) == ("mri", 0.16)
    assert arm["rounds"][2]["decision"]["over_best"]["mri"]["round"] == 0
    assert arm["promoted"]["round"] == 1
    promoted = trained_in(told, 0)
    assert told["measured"]["promoted_models"] == {"failure_driven": promoted}
    assert (events[-1].is_last, events[-1].promoted_round, events[-1].model_uri) == (True, 1, promoted)
    assert not events[0].HasField("promoted_round")
    jsonschema.validate(told, json.loads((DOCS / "report.schema.json").read_text()))


def test_small_losses_overall_add_up_too(house):
    """Four points a round, each within the allowance of five: the second is a regression against the base model."""
    house.services.n_items = 100
    house.services.is_right = lambda item, trained: item < 80 - 4 * trained
    with house.controller() as channel:
        start(channel, house, rounds=5, stop={"patience": 9})
        await_operation(channel, "r1")
        told = report(channel)
    arm = told["arms"]["failure_driven"]
    assert (arm["stop_reason"], len(arm["rounds"]), arm["promoted"]["round"]) == ("regression", 3, 0)
    (lost,) = arm["rounds"][2]["decision"]["regressions"]
    assert (lost["modality"], round(lost["loss"], 9), lost["allowance"]) == ("overall", 0.08, 0.05)


def test_an_arm_that_ends_before_its_next_model_is_judged_gives_back_the_one_that_was(house):
    with house.controller() as channel:
        house.services.hold("evaluate_dev")
        request = start(channel, house, rounds=5)
        until(lambda: get_run(channel).operation_id.endswith("0/evaluate_dev"))
        house.services.release("evaluate_dev")
        house.services.hold("train")
        until(lambda: get_run(channel).operation_id.endswith("0/train"))
        house.services.failing, house.services.failing_field = {"evaluate_dev": "BUDGET_EXHAUSTED"}, "stop.max_usd"
        house.services.release("train")
        await_operation(channel, request.run_id)
        told = report(channel)
        events = events_of(house, 2)
    arm = told["arms"]["failure_driven"]
    assert (arm["stop_reason"], arm["promoted"]["round"]) == ("budget", 0)
    imported = next(step["uri"] for step in told["measured"]["steps"] if step["step"] == "import_model")
    assert events[-1].model_uri == imported != events[0].model_uri


def test_gains_on_test_are_those_of_the_answers(house):
    with house.controller() as channel:
        start(channel, house, arms=["failure_driven", "random"])
        await_operation(channel, "r1")
        told = report(channel)
    rounds = told["arms"]["random"]["rounds"]
    assert [facts["test_gain"] and facts["test_gain"]["over_base"]["value"] for facts in rounds] == [None, 0.375, 0.75]
    assert rounds[2]["test_gain"]["over_previous"]["value"] == 0.375
    assert [(one["arm"], one["other"], one["round"], one["gain"]["value"]) for one in told["comparisons"]] == [
        ("failure_driven", "random", 1, 0.0),
        ("failure_driven", "random", 2, 0.0),
    ]


def test_a_step_that_the_budget_does_not_cover_ends_the_arm(house):
    house.services.failing["annotate"] = "BUDGET_EXHAUSTED"
    house.services.failing_field = "stop.max_usd"
    with house.controller() as channel:
        start(channel, house)
        await_operation(channel, "r1")
        assert report(channel)["arms"]["failure_driven"]["stop_reason"] == "budget"


def test_another_limit_that_is_reached_is_not_taken_for_the_budget(house):
    """A message too large for its service, say."""
    house.services.failing["build_dataset"] = "BUDGET_EXHAUSTED"
    with house.controller() as channel:
        start(channel, house)
        with pytest.raises(BudgetExhausted, match="build_dataset"):
            await_operation(channel, "r1")


def test_an_annotation_that_the_budget_left_without_a_decision_ends_the_arm(house):
    house.services.stopped = "The run's budget does not cover this."
    house.services.empty.add("annotate")
    with house.controller() as channel:
        start(channel, house)
        await_operation(channel, "r1")
        assert report(channel)["arms"]["failure_driven"]["stop_reason"] == "budget"


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


def test_a_run_at_work_shows_where_it_stands(house):
    house.services.hold("select_samples")
    with house.controller() as channel:
        start(channel, house)
        run = until(lambda: (found := get_run(channel)).step == "select_samples" and found)
        assert (run.state, run.arm, run.round, run.service) == ("running", "failure_driven", 0, "retrieval")
        assert run.operation_id == "r1/failure_driven/0/select_samples"
        scores = {(score.split, score.round): score for score in run.scores}
        assert scores.keys() == {("dev", 0), ("test", 0)}
        assert scores["test", 0].value == 0.25
        partial = report(channel)
        assert partial["arms"]["failure_driven"]["rounds"][0]["failures"]["n_failures"] == 1
        assert not partial["is_complete"]
        assert controller_stub(channel).GetReport(pb.GetReportRequest(run_id="r1")).report_uri == ""
        house.services.release("select_samples")
        await_operation(channel, "r1")
        assert [run.run_id for run in controller_stub(channel).ListRuns(pb.ListRunsRequest()).runs] == ["r1"]
        assert get_run(channel).message == "failure_driven: rounds"


def test_each_round_that_ends_is_published_once(house):
    seen = []
    with house.controller() as channel:
        start(channel, house, rounds=1)
        await_operation(channel, "r1")
        bus = SqliteEventBus(house.folder / "events.sqlite")
        bus.subscribe("test", {topic_of(RoundCompleted): each(seen.append)})
        until(lambda: len(seen) == 2)
        bus.close()
    rounds = [RoundCompleted.FromString(event.data) for event in seen]
    assert [(told.arm, told.round, told.is_last) for told in rounds] == [
        ("failure_driven", 0, False),
        ("failure_driven", 1, True),
    ]
    assert rounds[0].model_uri == rounds[1].model_uri
    assert [(event.key, event.sequence) for event in seen] == [("r1", 1), ("r1", 2)]


def test_a_configuration_with_problems_spends_nothing(house):
    with house.controller() as channel:
        stub = controller_stub(channel)
        config = write_run_files(house.files, mine={"gama": 0.5}, rounds=-1)
        found = stub.ValidateRun(pb.ValidateRunRequest(config_yaml=config, base_folder=str(house.files)))
        assert {problem.field: problem.remedy for problem in found.problems}["mine.gama"] == "Did you mean `gamma`?"
        assert not found.effective_yaml
        request = pb.StartRunRequest(run_id="r1", config_yaml=config, base_folder=str(house.files))
        refused = error_of(stub.StartRun, request)
        assert isinstance(refused, InvalidArgument)
        assert "rounds" in refused.message
        assert isinstance(error_of(stub.GetRun, pb.GetRunRequest(run_id="r1")), NotFound)
    assert not house.services.requests


def test_an_unknown_encoder_is_a_problem_before_anything_is_spent(house):
    with house.controller() as channel:
        stub = controller_stub(channel)
        config = write_run_files(house.files, encoder="biomedclop")
        found = stub.ValidateRun(pb.ValidateRunRequest(config_yaml=config, base_folder=str(house.files)))
        told = [(problem.field, problem.remedy) for problem in found.problems]
        assert told == [("encoder", "Use one of biomedclip, statistics.")]
        assert not found.effective_yaml
        request = pb.StartRunRequest(run_id="r1", config_yaml=config, base_folder=str(house.files))
        refused = error_of(stub.StartRun, request)
        assert isinstance(refused, InvalidArgument)
        assert refused.field == "encoder"
    assert not house.services.requests


def test_everything_of_a_run_is_ingested_with_the_encoder_that_it_names(house):
    with house.controller() as channel:
        start(channel, house, encoder="biomedclip", rounds=0)
        await_operation(channel, "r1")
    ingests = [one for name, one in house.services.requests.items() if "/ingest_" in name]
    assert [one.encoder for one in ingests] == ["biomedclip"] * 3


def test_a_good_configuration_is_shown_with_its_defaults(house):
    with house.controller() as channel:
        config = write_run_files(house.files)
        request = pb.ValidateRunRequest(config_yaml=config, base_folder=str(house.files))
        found = controller_stub(channel).ValidateRun(request)
    assert not found.problems
    assert "1 items of 1 sources, 2 answers each" in found.notes[0]
    assert yaml.safe_load(found.effective_yaml)["select"] == {
        "budget": 2000, "tau_sim": 0.75, "tau_pool_share": None, "neighbours": 5, "alpha": 1.0,
    }  # fmt: skip


def test_the_same_run_with_another_configuration_is_refused(house):
    with house.controller() as channel:
        request = start(channel, house, rounds=0)
        await_operation(channel, "r1")
        controller_stub(channel).StartRun(request)
        request.config_yaml += "seed: 9\n"
        assert isinstance(error_of(controller_stub(channel).StartRun, request), AlreadyExists)
        request.run_id = "no/good"
        assert error_of(controller_stub(channel).StartRun, request).field == "run_id"


def test_costs_are_reserved_within_the_limits_of_the_run(house):
    with house.controller() as channel:
        stub = controller_stub(channel)
        start(channel, house, rounds=0, stop={"max_usd": 1.5})
        await_operation(channel, "r1")

        def reserve(key, run_id="r1"):
            costs = [pb.Cost(key=key, kind="oracle", usd=1, tokens=9, is_simulated=True)]
            return stub.ReserveCosts, pb.ReserveCostsRequest(run_id=run_id, costs=costs)

        call, request = reserve("a")
        assert list(call(request).unknown_keys) == []
        assert isinstance(error_of(*reserve("b")), BudgetExhausted)
        stub.SettleCosts(
            pb.SettleCostsRequest(run_id="r1", costs=[pb.Cost(key="a", kind="oracle", usd=0.25, tokens=3)])
        )
        call, request = reserve("b")
        call(request)
        own = [entry for entry in list_costs(stub, "r1") if entry.cost.kind == "oracle"]
        assert [(entry.cost.key, entry.state, entry.cost.usd) for entry in own] == [
            ("a", "settled", 0.25),
            ("b", "reserved", 1.0),
        ]
        for _ in range(3):  # a run that the controller does not know has no limits
            call, request = reserve("x", "stranger")
            unknown = call(request).unknown_keys
        assert list(unknown) == ["x"]
        assert [entry.attempt for entry in list_costs(stub, "stranger")] == [1, 2, 3]


def test_wrong_costs_are_refused(house):
    with house.controller() as channel:
        stub = controller_stub(channel)
        nameless = pb.ReserveCostsRequest(costs=[pb.Cost(key="a", kind="oracle")])
        assert error_of(stub.ReserveCosts, nameless).field == "run_id"
        lunch = pb.ReserveCostsRequest(run_id="r", costs=[pb.Cost(key="a", kind="lunch")])
        assert error_of(stub.ReserveCosts, lunch).field == "costs.kind"
        many = pb.ReserveCostsRequest(run_id="r", costs=[pb.Cost(key=str(n), kind="oracle") for n in range(1001)])
        assert error_of(stub.ReserveCosts, many).field == "costs"
        early = pb.SettleCostsRequest(run_id="r", costs=[pb.Cost(key="a", kind="oracle")])
        assert isinstance(error_of(stub.SettleCosts, early), FailedPrecondition)
        token = pb.ListCostsRequest(run_id="r", page_token="x")
        assert error_of(stub.ListCosts, token).field == "page_token"


def test_what_is_not_there_is_not_found(house):
    with house.controller() as channel:
        stub = controller_stub(channel)
        for call, request in (
            (stub.GetRun, pb.GetRunRequest(run_id="no")),
            (stub.GetReport, pb.GetReportRequest(run_id="no")),
        ):
            assert isinstance(error_of(call, request), NotFound)


def test_a_client_of_the_controller_finds_the_other_services(house):
    with house.controller() as channel:
        targets = controller_stub(channel).GetEndpoints(pb.GetEndpointsRequest()).targets
    assert dict(targets) == {**house.targets, "controller": f"unix:{house.folder}/c.sock"}


def list_costs(stub, run_id):
    entries, token = [], ""
    while True:
        page = stub.ListCosts(pb.ListCostsRequest(run_id=run_id, page_size=2, page_token=token))
        entries += page.entries
        token = page.next_page_token
        if not token:
            return entries


def download(channel, run_id="r1"):
    files = {}
    uri = controller_stub(channel).GetReport(pb.GetReportRequest(run_id=run_id)).report_uri
    stub = operations_pb2_grpc.OperationsServiceStub(channel)
    for piece in stub.DownloadDataset(operations_pb2.DownloadDatasetRequest(uri=uri)):
        files[piece.file_name] = files.get(piece.file_name, b"") + piece.chunk
    assert list(files) == ["answers.jsonl", "report.html", "report.json"]
    return files
