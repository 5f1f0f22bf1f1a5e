"""What the console says of an arm's decisions."""

import pytest

from web.console.stopping import will_it_stop

STOP = {
    "min_gain": 0.005,
    "excluded_gain": 0.03,
    "patience": 2,
    "overall_allowance": 0.05,
    "modality_allowance": 0.1,
    "max_usd": 60.0,
    "max_expert_hours": 8.0,
}
GAIN = {"value": 0.039, "low": 0.012, "high": 0.067, "n": 30, "n_sources": 10}


def report(stop_reason=None, **decision):
    given = {"gain": GAIN, "verdict": "worthwhile", "regressions": [], **decision}
    rounds = [{"round": 1, "decision": given}]
    ledger = {
        "total": {"settled": {"usd": 18.0, "expert_seconds": 7200.0}, "reserved": {"usd": 0.6, "expert_seconds": 0}}
    }
    arms = {"a": {"stop_reason": stop_reason, "rounds": rounds}}
    return {"arms": arms, "config": {"stop": STOP}, "measured": {"ledger": ledger}}


def test_an_arm_that_goes_on_says_what_it_gained_and_when_it_would_stop():
    first, second = will_it_stop(report(), "a")
    assert first == (
        "Not yet. Round 1 gained +3.9 points [1.2, 6.7] on dev over the round before: "
        "more than the 0.5 points that is worth another round."
    )
    assert second.startswith("No modality lost more than the 10.0 points (5.0 points over all) that are allowed.")
    assert "after 2 rounds in a row without a worthwhile gain" in second
    assert second.endswith("It has used 31 % of its $60.00 and 25 % of its 8 hours of experts.")


@pytest.mark.parametrize(
    ("verdict", "said"),
    [("plateau", "a gain of 3.0 points is excluded"), ("unclear", "cannot exclude a gain of 3.0 points")],
)
def test_a_verdict_is_said_in_words(verdict, said):
    assert said in will_it_stop(report(verdict=verdict), "a")[0]


def test_an_arm_that_has_stopped_says_why():
    lost = [{"modality": "mri", "loss": 0.12, "allowance": 0.1}, {"modality": "ct", "loss": None, "allowance": 0.1}]
    first, second = will_it_stop(report("regression", regressions=lost), "a")
    assert first.startswith("It has stopped: regression: the last round made the model worse.")
    assert second.startswith("The round is not taken: MRI lost 12.0 points, CT is not measured any more.")


def test_an_arm_without_a_decision_says_so():
    told = report()
    told["arms"]["a"]["rounds"] = []
    assert will_it_stop(told, "a")[0] == "Nothing is decided yet: the base model is being measured."
