import math

import numpy as np
import pytest
from scipy import stats

from services.oracle.domain.calibration import Calibration, calibrate_entropy_threshold
from shared.errors import InvalidArgument


def slow_reference(h: np.ndarray, wrong: np.ndarray, target: float) -> float:
    """The largest cut between distinct entropies whose exact upper limit is within the target."""
    best = 0.0
    distinct = sorted(set(h.tolist()))
    for value, after in zip(distinct, [*distinct[1:], math.inf], strict=True):
        adopted = h <= value
        limit = (
            stats.binomtest(int(wrong[adopted].sum()), int(adopted.sum()), alternative="less").proportion_ci(0.95).high
        )
        if limit <= target:
            best = (value + after) / 2
    return best


@pytest.mark.parametrize("seed", range(6))
def test_threshold_is_the_largest_whose_upper_limit_meets_the_target(seed):
    rng = np.random.default_rng(seed)
    h = np.round(rng.gamma(2, 0.2, 400), 2)
    wrong = rng.random(400) < np.minimum(h**2, 0.9)
    found = calibrate_entropy_threshold(h, wrong, target_error_rate=0.15)
    assert found.tau_entropy == pytest.approx(slow_reference(h, wrong, 0.15))
    adopted = h < found.tau_entropy
    assert (found.n_reviewed, found.n_adopted, found.n_wrong) == (400, adopted.sum(), wrong[adopted].sum())
    assert found.upper_error_rate is None or found.upper_error_rate <= 0.15


def test_too_few_samples_adopt_nothing_however_right_they_are():
    assert calibrate_entropy_threshold(np.arange(58), np.zeros(58), target_error_rate=0.05) == Calibration(
        0.0, 58, 0, 0, None
    )
    assert calibrate_entropy_threshold(np.arange(59), np.zeros(59), target_error_rate=0.05).tau_entropy == math.inf
    assert calibrate_entropy_threshold([], [], target_error_rate=0.05) == Calibration(0.0, 0, 0, 0, None)


def test_samples_of_one_entropy_are_adopted_together_or_not_at_all():
    wrong = np.array([False] * 60 + [True] * 60)
    assert calibrate_entropy_threshold(np.ones(120), wrong, target_error_rate=0.2).n_adopted == 0


def test_what_is_always_wrong_is_never_adopted():
    assert calibrate_entropy_threshold(np.arange(99), np.ones(99), target_error_rate=0.9).n_adopted == 0


def test_infinite_entropies_are_not_adopted():
    h = np.array([0.1] * 100 + [math.inf] * 3)
    found = calibrate_entropy_threshold(h, np.repeat([False, True], [100, 3]), target_error_rate=0.05)
    assert (found.tau_entropy, found.n_adopted) == (math.inf, 100)


@pytest.mark.parametrize(
    ("h", "wrong", "target"), [([1.0], [], 0.1), ([-1.0], [True], 0.1), ([math.nan], [True], 0.1), ([1.0], [True], 0.0)]
)
def test_input_that_cannot_work_is_refused(h, wrong, target):
    with pytest.raises(InvalidArgument):
        calibrate_entropy_threshold(h, wrong, target_error_rate=target)
