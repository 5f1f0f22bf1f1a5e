import pytest

from services.controller.domain.plateau import Regression, is_plateau, regression_gate
from shared.errors import InvalidArgument
from shared.statistics import Interval


def gain(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 100)


FLAT, RISING, UNSURE = gain(-0.01, 0.005), gain(0.02, 0.06), gain(-0.05, 0.05)


@pytest.mark.parametrize(
    ("gains", "patience", "expected"),
    [
        ([FLAT, FLAT], 2, True),
        ([RISING, FLAT, FLAT], 2, True),
        ([FLAT, RISING], 2, False),
        ([FLAT, RISING, FLAT], 2, False),
        ([FLAT, UNSURE], 2, False),
        ([FLAT], 2, False),
        ([FLAT], 1, True),
        ([], 1, False),
        ([FLAT, Interval(None, None, None, 0)], 2, False),
    ],
)
def test_plateau_is_patience_rounds_in_a_row_known_to_gain_too_little(gains, patience, expected):
    assert is_plateau(gains, minimum_gain=0.01, patience=patience) is expected


def test_an_upper_limit_equal_to_the_minimum_is_no_plateau():
    assert not is_plateau([gain(-0.02, 0.01)], minimum_gain=0.01, patience=1)


def test_patience_below_one_round_is_refused():
    with pytest.raises(InvalidArgument):
        is_plateau([FLAT], minimum_gain=0.01, patience=0)


def test_a_modality_that_lost_more_than_its_allowance_stops_the_promotion():
    gains = {"mri": gain(-0.06, -0.04), "ct": gain(-0.03, -0.01), "fundus": gain(0.1, 0.2)}
    assert regression_gate(gains, allowance=0.03) == (Regression("mri", pytest.approx(0.05), 0.03),)
    assert regression_gate(gains, allowance=0.05) == ()
    lost = regression_gate(gains, allowance=0.0)
    assert [(r.modality, r.allowance) for r in lost] == [("ct", 0.0), ("mri", 0.0)]


def test_a_modality_that_is_not_evaluated_any_more_is_named_and_stops_the_promotion():
    gains = {"mri": Interval(None, None, None, 0), "ct": gain(0.1, 0.2)}
    assert regression_gate(gains, allowance=0.03) == (Regression("mri", None, 0.03),)


def test_a_negative_allowance_is_refused():
    with pytest.raises(InvalidArgument):
        regression_gate({}, allowance=-0.1)
