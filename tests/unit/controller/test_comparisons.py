import pytest

from services.controller.domain.comparisons import arm_gains, round_gains
from shared.rows.evaluation import Answer
from tests.support.rows import build


def answers(right):
    """One answer an item; `right[i]`: whether item i is right."""
    return [
        build(Answer, item_id=f"i{item}", source_id=f"s{item}", scored=True, correct=bool(value))
        for item, value in enumerate(right)
    ]


BASE, BETTER, OTHER = answers([0, 0, 0, 1]), answers([1, 1, 0, 1]), answers([0, 1, 1, 1])


def test_a_round_is_compared_with_the_base_and_with_the_round_before():
    gains = round_gains({"arm": {0: BASE, 1: BETTER, 2: BASE}}, seed=1)["arm"]
    assert gains.keys() == {1, 2}
    assert (gains[1].over_base.value, gains[1].over_previous.value) == (0.5, 0.5)
    assert (gains[2].over_base.value, gains[2].over_previous.value) == (0.0, -0.5)
    assert gains[1].over_base.low < 0.5 < gains[1].over_base.high
    assert gains[1].over_base.n_sources == 4


def test_arms_are_compared_at_the_same_round_on_the_same_items():
    found = arm_gains({"a": {0: BASE, 1: BETTER, 2: BETTER}, "b": {0: BASE, 1: answers([0, 0, 0, 0])}, "c": {}}, seed=1)
    assert [(one.arm, one.other, one.round) for one in found] == [("a", "b", 1)]
    assert found[0].gain.value == pytest.approx(0.75)


def test_equal_shares_of_other_items_are_no_difference_but_not_a_certain_one():
    (found,) = arm_gains({"a": {1: BETTER}, "b": {1: OTHER}}, seed=1)
    assert found.gain.value == 0.0
    assert found.gain.low < 0 < found.gain.high
