import numpy as np
import pytest

from services.controller.domain.plateau import Regression, is_plateau, regression_gate, verdict_on
from shared.errors import InvalidArgument
from shared.statistics import Interval, paired_bootstrap


def gain(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 100)


FLAT, RISING, UNSURE = gain(-0.01, 0.01), gain(0.02, 0.06), gain(-0.05, 0.05)
NOTHING, ONE_SOURCE = Interval(None, None, None, 0), Interval(0.0, None, None, 9)


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (FLAT, "plateau"),
        (RISING, "worthwhile"),
        (UNSURE, "unclear"),
        (NOTHING, "unclear"),
        (ONE_SOURCE, "unclear"),
        (Interval(0.0, -0.03, 0.035, 9), "plateau"),  # 0.84 of 0.035 is below 0.03
        (Interval(0.0, -0.03, 0.036, 9), "unclear"),
        (Interval(0.005, 0.004, 0.006, 9), "plateau"),
        (Interval(0.0051, 0.004, 0.006, 9), "worthwhile"),
        (Interval(-0.2, -0.3, -0.1, 9), "plateau"),
    ],
)
def test_a_gain_says_that_it_is_worthwhile_or_nothing_or_that_the_items_cannot_tell(measured, verdict):
    assert verdict_on(measured, minimum_gain=0.005, excluded_gain=0.03) == verdict


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
        ([FLAT, NOTHING], 2, False),
    ],
)
def test_plateau_is_patience_rounds_in_a_row_without_a_gain(gains, patience, expected):
    assert is_plateau(gains, minimum_gain=0.01, patience=patience) is expected


def test_patience_below_one_round_is_refused():
    with pytest.raises(InvalidArgument):
        is_plateau([FLAT], minimum_gain=0.01, patience=0)


@pytest.mark.parametrize(("n_items", "n_sources"), [(2000, 200), (600, 200), (60, 20)])
def test_a_gain_that_must_not_be_missed_seldom_ends_an_arm(n_items, n_sources):
    """Whatever the set of items: one round in twenty, and a margin for 300 draws."""
    rng, sources = np.random.default_rng(4), [item % n_sources for item in range(n_items)]
    stops = 0
    for _ in range(300):
        shift = rng.normal(0.03, 0.1, n_sources)[sources]
        change = rng.normal(shift, 0.4)
        measured = paired_bootstrap(np.zeros(n_items), change, sources, rng, n_resamples=500)
        stops += is_plateau([measured], minimum_gain=0.005, patience=1)
    assert stops / 300 <= 0.10


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
