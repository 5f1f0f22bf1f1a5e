"""The claims of docs/stopping.md, on fewer draws than its tables and with generous margins."""

from dataclasses import replace

import numpy as np
import pytest

from studies.stop_rule import BASE, coverage, expected, play, rounds_of


def test_the_simulated_rounds_gain_what_they_are_said_to():
    world = replace(BASE, n_items=50_000, n_sources=5000, gain=0.03)
    scores, sources = rounds_of(world, np.random.default_rng(0))
    means = scores.mean(axis=1)
    assert means[0] == pytest.approx(0.6, abs=0.02)
    assert np.diff(means).tolist() == pytest.approx([0.03, 0.03], abs=0.01)
    assert len(np.unique(sources)) == 5000


def test_an_arm_that_gains_nothing_stops_within_two_rounds():
    none = play(BASE, 60)
    assert none.stopped_second >= 0.8
    assert expected(BASE) == pytest.approx(none.detectable, rel=0.4)


def test_an_arm_that_gains_three_points_a_round_seldom_stops():
    assert play(replace(BASE, gain=0.03), 60).stopped_second <= 0.15


def test_a_small_set_says_that_it_cannot_tell():
    small = replace(BASE, n_items=60, n_sources=20)
    none = play(small, 60)
    assert none.unclear > 0.2
    assert none.stopped_second < 0.5
    assert expected(small) > 0.08


@pytest.mark.parametrize("truth", [0.4, 0.7, 0.9])
def test_intervals_of_five_sources_hold_the_truth(truth):
    assert coverage(5, truth, 300) >= 0.93
