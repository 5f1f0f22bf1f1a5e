"""The figures of an experiment against hand and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from shared.errors import InvalidArgument
from studies.experiment.estimates import budget_ratio, paired_difference, post_stratified

BUDGETS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def ratio(random: list[list[float]], ours: list[float], seed: int = 0):
    return budget_ratio(BUDGETS, random, ours, np.random.default_rng(seed))


def test_a_difference_is_that_of_seeds_that_have_both_with_students_interval():
    ours, other = {1: 0.8, 2: 0.9, 3: 0.7, 9: 0.1}, {3: 0.6, 2: 0.7, 1: 0.75, 8: 0.9}
    found = paired_difference(ours, other)
    expected = stats.ttest_rel([0.8, 0.9, 0.7], [0.75, 0.7, 0.6]).confidence_interval(0.95)
    assert (found.value, found.n) == (pytest.approx((0.05 + 0.2 + 0.1) / 3), 3)
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_a_pools_mix_weighs_each_stratum_by_its_images():
    right = {"common": (9, 10), "rare": (1, 4)}
    value, covered = post_stratified(right, {"common": 97, "rare": 3})
    assert (value, covered) == (pytest.approx(0.97 * 0.9 + 0.03 * 0.25), 1.0)


def test_a_stratum_that_test_lacks_is_left_out_and_told():
    value, covered = post_stratified({"common": (9, 10), "empty": (0, 0)}, {"common": 60, "empty": 20, "new": 20})
    assert (value, covered) == (pytest.approx(0.9), 0.6)
    assert post_stratified({}, {"new": 20}) == (None, 0.0)


def test_on_the_mix_of_test_itself_it_is_the_accuracy():
    right = {"a": (3, 9), "b": (5, 6), "c": (0, 3)}
    images = {stratum: n // 3 for stratum, (_, n) in right.items()}
    assert post_stratified(right, images)[0] == pytest.approx(8 / 18)


def test_the_ratio_is_linear_in_the_logarithm_of_the_budget():
    found = ratio([[0.1, 0.2, 0.3, 0.5, 0.6, 0.7]], [0.4])
    assert found.value == pytest.approx(2**1.5)  # half way from 2 to 4
    assert (found.low, found.high, found.n) == (None, None, 1)
    assert str(found) == "2.8"


def test_a_budget_that_just_reaches_it_is_the_ratio():
    assert ratio([[0.1, 0.2, 0.3, 0.5, 0.6, 0.7]], [0.5]).value == pytest.approx(4.0)


def test_a_dip_does_not_count():
    scores = [0.1, 0.4, 0.2, 0.5, 0.6, 0.7]
    monotone = optimize.isotonic_regression(scores).x
    target = 0.35
    place = int(np.flatnonzero(monotone >= target)[0])
    part = (target - monotone[place - 1]) / (monotone[place] - monotone[place - 1])
    expected = np.log2(BUDGETS[place - 1]) + part * (np.log2(BUDGETS[place]) - np.log2(BUDGETS[place - 1]))
    assert ratio([scores], [target]).value == pytest.approx(2**expected)


def test_not_reached_and_below_one_are_said_so():
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert str(ratio([scores], [0.61])) == "> 16"
    assert str(ratio([scores], [0.15])) == "< 1"
    assert str(ratio([scores], [0.05])) == "< 1"
    assert str(ratio([scores], [0.2])) == "1.0"


def test_where_the_smallest_budget_is_enough_less_may_be_too():
    found = budget_ratio((1.0, 16.0), [[0.7, 0.8]], [0.65], np.random.default_rng(0))
    assert str(found) == "≤ 1"


def test_the_limits_of_the_ratio_resample_whole_seeds():
    # One seed reaches it at 2 and one never does: drawn both alike, the mean of the two is reached at 4.
    random = [[0.1, 0.2, 0.5, 0.6, 0.7, 0.8], [0.1, 0.1, 0.1, 0.6, 0.6, 0.6]]
    ours = [0.5, 0.7]
    found = ratio(random, ours)
    assert found.value == pytest.approx(4.0)
    assert (found.low, found.high) == (pytest.approx(2.0), float("inf"))
    assert str(found) == "4.0 [2.0, > 16]"


def test_the_limits_do_not_depend_on_the_order_of_equal_seeds():
    row = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    found = ratio([row] * 8, [0.35] * 8)
    assert found.low == found.high == pytest.approx(found.value)


@pytest.mark.parametrize(("random", "ours"), [([[0.1, 0.2]], [0.3]), ([[0.1] * 6], [0.3, 0.4]), ([], [])])
def test_scores_that_do_not_fit_the_budgets_are_refused(random: list[list[float]], ours: list[float]):
    with pytest.raises(InvalidArgument, match="do not fit"):
        ratio(random, ours)
