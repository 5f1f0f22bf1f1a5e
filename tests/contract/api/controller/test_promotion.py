"""Which model a round promotes, which losses it may have, and which model an arm gives back."""

from __future__ import annotations

import json

import jsonschema
import pytest

from shared.rpc.operations import await_operation
from tests.support.controller_house import DOCS, events_of, get_run, report, start, until


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
