"""Why an arm ends before its rounds are over."""

from __future__ import annotations

import json

import jsonschema
import pytest

from shared.errors import BudgetExhausted
from shared.rpc.operations import await_operation
from tests.support.controller_house import DOCS, report, start


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
