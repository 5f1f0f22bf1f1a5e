from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from services.oracle.domain.audit import is_drawn, residual_error
from shared.errors import InvalidArgument


def test_no_share_audits_nothing_and_the_whole_everything():
    assert not any(is_drawn("audit", 0, str(i), 0.0) for i in range(100))
    assert all(is_drawn("audit", 0, str(i), 1.0) for i in range(100))


def test_the_share_is_met_and_a_larger_one_contains_a_smaller():
    small = {i for i in range(4000) if is_drawn("audit", 5, str(i), 0.1)}
    large = {i for i in range(4000) if is_drawn("audit", 5, str(i), 0.3)}
    assert stats.binomtest(len(small), 4000, 0.1).pvalue > 1e-4
    assert small <= large


def test_another_seed_audits_others():
    assert [is_drawn("audit", 1, str(i), 0.5) for i in range(64)] != [
        is_drawn("audit", 2, str(i), 0.5) for i in range(64)
    ]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_invalid(share):
    with pytest.raises(InvalidArgument):
        is_drawn("audit", 0, "d", share)


def test_without_an_audit_there_is_no_estimate():
    found = residual_error([], [])
    assert (found.value, found.low, found.high, found.n) == (None, None, None, 0)


def many(n_wrong, n):
    """Answers with so many errors, each about a source of its own."""
    return [i < n_wrong for i in range(n)], [f"s{i}" for i in range(n)]


@pytest.mark.parametrize(("wrong", "n"), [(1, 20), (7, 50), (19, 20)])
def test_answers_about_sources_of_their_own_have_the_limits_of_clopper_and_pearson(wrong, n):
    found = residual_error(*many(wrong, n))
    assert found.value == wrong / n
    # n* is n - 1, but for rounding: the variance between sources is estimated with n - 1
    exact = stats.binomtest(wrong, n).proportion_ci(0.95, method="exact")
    assert found.low == pytest.approx(exact.low, abs=0.02)
    assert found.high == pytest.approx(exact.high, abs=0.02)
    assert found.low <= exact.low
    assert found.high >= exact.high


def test_no_error_found_still_leaves_an_upper_limit_that_counts_sources():
    assert residual_error(*many(0, 59)).high == pytest.approx(1 - 0.025 ** (1 / 59))
    three_a_source = residual_error([False] * 60, [f"s{i // 3}" for i in range(60)])
    assert (three_a_source.value, three_a_source.low) == (0.0, 0.0)
    assert three_a_source.high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert residual_error([True] * 60, [f"s{i // 3}" for i in range(60)]).low == pytest.approx(0.025 ** (1 / 20))


def test_one_source_says_little():
    found = residual_error([True, False, False], ["s", "s", "s"])
    assert found.low < 0.01
    assert found.high > 0.95


def test_the_order_of_the_answers_does_not_matter():
    wrong, sources = [True, False, True, False, False, True], ["a", "b", "a", "c", "b", "c"]
    assert residual_error(wrong, sources) == residual_error(wrong[::-1], sources[::-1])


@pytest.mark.parametrize("truth", [0.05, 0.2])
def test_the_interval_holds_the_truth_where_errors_of_an_image_come_together(truth):
    """60 images of 3 questions, all three wrong or all right: limits that take 180 answers as independent miss it often."""
    rng = np.random.default_rng(1)
    sources = [f"s{i // 3}" for i in range(180)]
    hits = exact_hits = 0
    for _ in range(400):
        wrong = np.repeat(rng.random(60) < truth, 3)
        found = residual_error(wrong.tolist(), sources)
        exact = stats.binomtest(int(wrong.sum()), 180).proportion_ci(0.95, method="exact")
        hits += found.low <= truth <= found.high
        exact_hits += exact.low <= truth <= exact.high
    assert hits >= 0.93 * 400
    assert exact_hits < 0.85 * 400


def test_every_answer_needs_a_source():
    with pytest.raises(InvalidArgument):
        residual_error([True], [])
