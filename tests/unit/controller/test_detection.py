import numpy as np
import pytest
from scipy import stats

from services.controller.domain.detection import (
    detection_note,
    expected_detectable_gain,
    measured_detectable_gain,
    within_source_correlation,
)
from shared.statistics import Interval


def test_the_expected_gain_follows_from_sizes_and_runs():
    error = np.sqrt((0.10 + 2 * 0.12 / 5) * (1 + 9 * 0.1) / 2000)
    multiple = stats.norm.ppf(0.95) / stats.norm.ppf(0.975) * stats.t.ppf(0.975, 199) + stats.norm.ppf(1 - 0.2**0.5)
    assert expected_detectable_gain([10] * 200, 5) == pytest.approx(multiple * error, rel=1e-3)


def test_more_items_more_sources_and_more_runs_tell_smaller_gains():
    gains = [
        expected_detectable_gain([size] * n, runs)
        for size, n, runs in [(10, 20, 1), (10, 20, 5), (20, 20, 5), (2, 200, 5)]
    ]
    assert gains == sorted(gains, reverse=True)


def test_one_source_tells_nothing():
    assert expected_detectable_gain([2000], 5) is None
    assert "no plateau will be seen" in detection_note([2000], 5, 0.03)


@pytest.mark.parametrize(
    ("sizes", "words", "absent"),
    [
        ([10] * 400, ["4000 items of 400 sources, 5 answers each"], ["stop.excluded_gain", "Fewer than"]),
        ([10] * 40, ["more than the 3.0 points of stop.excluded_gain"], ["Fewer than"]),
        ([10] * 5, ["more than the 3.0 points", "Fewer than 10 sources"], []),
    ],
)
def test_the_note_says_what_the_items_cannot_tell(sizes, words, absent):
    note = detection_note(sizes, 5, 0.03)
    assert all(word in note for word in words)
    assert not any(word in note for word in absent)


def test_the_measured_gain_is_what_the_interval_can_tell():
    """One-sided 95 % (1.645) and the 0.132 for two rounds, of a standard error of 0.01."""
    half = 0.01 * stats.norm.ppf(0.975)
    assert measured_detectable_gain(Interval(0.0, -half, half, 9)) == pytest.approx(0.01777, abs=1e-4)
    assert measured_detectable_gain(Interval(0.0, None, None, 9)) is None


def test_correlation_within_sources_by_hand():
    assert within_source_correlation([1, 1, 0, 0], ["a", "a", "b", "b"]) == pytest.approx(1.0)
    assert within_source_correlation([1, 0, 1, 0], ["a", "a", "b", "b"]) == pytest.approx(-1.0)
    # between: 2 * (0.25^2 + 0.25^2) / 1 = 0.25; within: (0 + 0.5) / 2 = 0.25
    assert within_source_correlation([1, 1, 1, 0], ["a", "a", "b", "b"]) == pytest.approx(0.0)


def test_correlation_is_that_which_the_values_were_drawn_with():
    rng = np.random.default_rng(0)
    sources = np.repeat(np.arange(2000), rng.integers(1, 8, 2000))
    values = rng.normal(size=2000)[sources] * 0.3**0.5 + rng.normal(size=len(sources)) * 0.7**0.5
    assert within_source_correlation(values, sources.tolist()) == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(
    ("values", "sources"), [([], []), ([1, 2], ["a", "a"]), ([1, 2], ["a", "b"]), ([1] * 3, "aab")]
)
def test_correlation_that_cannot_be_known_is_none(values, sources):
    assert within_source_correlation(values, list(sources)) is None
