import numpy as np
import pytest

from services.evaluation.domain.failures import capability_error_rates, error_rate, is_failure
from shared.errors import InvalidArgument

R, W, U = True, False, None


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([W, W, W, W, R], True),
        ([W, W, W, R, R], False),
        ([W, W, W, W, W], True),
        ([R] * 5, False),
        ([W, W, W, U, U], True),
        ([W, W, R, U, U], True),
        ([W, R, R, U, U], False),
        ([W, W, U, U, U], None),
        ([W, W], None),
        ([U] * 5, None),
        ([], None),
    ],
)
def test_failure_is_an_error_rate_strictly_above_gamma_over_evaluated_runs(runs, expected):
    assert is_failure(runs, gamma=0.6, n_runs=5) is expected


def test_half_of_the_runs_is_enough():
    assert is_failure([W, U], gamma=0.6, n_runs=2) is True


@pytest.mark.parametrize("tenths", range(10))
def test_a_rate_equal_to_gamma_is_no_failure_even_through_32_bits(tenths):
    runs = [W] * tenths + [R] * (10 - tenths)
    for gamma in (tenths / 10, float(np.float32(tenths / 10))):
        assert is_failure(runs, gamma=gamma, n_runs=10) is False
        assert is_failure([W, *runs[:-1]], gamma=gamma, n_runs=10) is True


@pytest.mark.parametrize(
    "arguments", [{"gamma": 1.0, "n_runs": 5}, {"gamma": -0.1, "n_runs": 5}, {"gamma": 0.6, "n_runs": 1}]
)
def test_impossible_thresholds_and_runs_are_refused(arguments):
    with pytest.raises(InvalidArgument):
        is_failure([W, R], **arguments)


def test_error_rate_is_over_evaluated_runs():
    assert error_rate([W, W, R, U]) == pytest.approx(2 / 3)


def test_equation_1_counts_failures_over_evaluated_items_of_the_capability():
    items = [
        (("modality:mri", "question_type:what"), True),
        (("modality:mri", "question_type:how"), False),
        (("modality:mri",), None),
        (("modality:ct", "question_type:what"), True),
        (("scope:general",), None),
    ]
    rates = capability_error_rates(items)
    assert [(r.capability, r.n_failures, r.n_items, r.n_unscored, r.error_rate) for r in rates] == [
        ("modality:ct", 1, 1, 0, 1.0),
        ("modality:mri", 1, 2, 1, 0.5),
        ("question_type:how", 0, 1, 0, 0.0),
        ("question_type:what", 2, 2, 0, 1.0),
        ("scope:general", 0, 0, 1, None),
    ]


def test_no_items_have_no_rates():
    assert capability_error_rates([]) == ()
