from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.domain.quotas import allot
from services.retrieval.domain.sampling import Candidates, Strategy, draw_samples


def mean_shares(sizes, profiles, weights, budget, n_seeds=400):
    """The share of each capability in the draw, on average."""
    weights = np.array(weights) / np.sum(weights)
    drawn = [
        allot(np.array(sizes), np.array(profiles), weights, budget, np.random.default_rng(s)) for s in range(n_seeds)
    ]
    return np.mean([taken.sum(axis=0) / taken.sum() for taken in drawn], axis=0)


def most_for(capabilities, sizes, profiles) -> int:
    """Images that have any of the capabilities: no draw can take more for them together (Hall's condition)."""
    return int(sizes[(profiles[:, list(capabilities)] > 0).any(axis=1)].sum())


@st.composite
def pools(draw):
    n_groups, n_capabilities = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    sizes = np.array(draw(st.lists(st.integers(0, 12), min_size=n_groups, max_size=n_groups)))
    share = st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0])
    rows = st.lists(share, min_size=n_capabilities, max_size=n_capabilities)
    profiles = np.array(draw(st.lists(rows, min_size=n_groups, max_size=n_groups)))
    weight = st.sampled_from([0.0, 0.05, 0.5, 1.0])
    weights = np.array(draw(st.lists(weight, min_size=n_capabilities, max_size=n_capabilities)))
    return sizes, profiles, weights, draw(st.integers(0, 40)), draw(st.integers(0, 9))


def test_half_of_the_weight_is_half_of_the_draw_when_the_budget_is_large():
    """25 of 45 images: a weight of .50 was .38 of the draw when each image was drawn by its own weight at once."""
    shares = mean_shares([15, 15, 15], np.eye(3), [0.5, 0.3, 0.2], 25)
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.01)


def test_shares_follow_the_weights_where_groups_have_several_capabilities():
    profiles = [[0.7, 0.3, 0.0], [0.2, 0.4, 0.4], [0.0, 0.1, 0.9]]
    assert mean_shares([14, 60, 16], profiles, [0.5, 0.3, 0.2], 45) == pytest.approx([0.5, 0.3, 0.2], abs=0.01)


def test_what_a_capability_cannot_fill_goes_to_the_others_by_their_weights():
    shares = mean_shares([3, 50, 50], np.eye(3), [0.6, 0.3, 0.1], 30)
    assert shares == pytest.approx([3 / 30, 27 / 30 * 0.75, 27 / 30 * 0.25], abs=0.01)


def test_images_that_two_capabilities_share_are_left_to_the_one_that_has_no_others():
    """Both could take the first group; only the second has another one. 10 + 10 of 20 go in one way alone."""
    for seed in range(50):
        rng = np.random.default_rng(seed)
        taken = allot(np.array([10, 10]), np.array([[1.0, 1.0], [0.0, 0.001]]), np.array([0.5, 0.5]), 20, rng)
        assert taken.tolist() == [[10, 0], [0, 10]]


def test_an_image_is_taken_for_a_capability_in_proportion_to_its_profile():
    profiles, sizes = np.array([[0.8, 0.0], [0.2, 1.0]]), np.array([1000, 1000])
    taken = [allot(sizes, profiles, np.array([0.5, 0.5]), 40, np.random.default_rng(seed)) for seed in range(300)]
    assert np.mean([t[0, 0] / t[:, 0].sum() for t in taken]) == pytest.approx(0.8, abs=0.02)


@given(pools())
def test_the_budget_or_all_that_can_be_taken_and_never_more_than_there_is(pool):
    sizes, profiles, weights, budget, seed = pool
    taken = allot(sizes, profiles, weights, budget, np.random.default_rng(seed))
    weighing = np.flatnonzero(weights > 0)
    assert (taken >= 0).all()
    assert (taken.sum(axis=1) <= sizes).all()
    assert not taken[profiles == 0].any()
    assert not taken[:, weights == 0].any()
    assert taken.sum() == min(budget, most_for(weighing, sizes, profiles))


@given(pools())
def test_every_capability_gets_its_quota_where_there_are_images_enough(pool):
    sizes, profiles, weights, budget, seed = pool
    if not weights.any():
        return
    expected = budget * weights / weights.sum()
    every = range(len(weights))
    subsets = list(chain.from_iterable(combinations(every, n) for n in range(1, len(weights) + 1)))
    if any(np.ceil(expected[list(part)]).sum() > most_for(part, sizes, profiles) for part in subsets):
        return
    taken = allot(sizes, profiles, weights, budget, np.random.default_rng(seed)).sum(axis=0)
    assert (np.abs(taken - expected) < 1 + 1e-9).all()


@given(pools(), st.booleans())
def test_a_draw_holds_no_image_twice_and_each_for_a_capability_of_what_found_it(pool, is_scored):
    sizes, profiles, weights, budget, seed = pool
    names = [f"k{k}" for k in range(len(weights))]
    rng = np.random.default_rng(seed)
    prototype = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    score = rng.random(len(prototype)) if is_scored else None
    drawn = draw_samples(
        Candidates([f"{i:04d}" for i in range(len(prototype))], prototype, score),
        [dict(zip(names, row, strict=True)) for row in profiles.tolist()],
        dict(zip(names, weights.tolist(), strict=True)),
        strategy=Strategy.FAILURE_CONTRAST if is_scored else Strategy.FAILURE_DRIVEN,
        alpha=1.0,
        budget=budget,
        rng=np.random.default_rng(seed),
    )
    assert len(set(drawn.rows.tolist())) == len(drawn.rows) == len(drawn.capabilities)
    assert len(drawn.rows) == min(budget, most_for(np.flatnonzero(weights > 0), sizes, profiles))
    for row, name in zip(drawn.rows, drawn.capabilities, strict=True):
        assert profiles[prototype[row], names.index(name)] > 0
