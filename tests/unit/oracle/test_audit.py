from __future__ import annotations

import pytest
from scipy import stats

from services.oracle.domain.audit import is_audited, residual_error
from shared.errors import InvalidArgument


def test_no_share_audits_nothing_and_the_whole_everything():
    assert not any(is_audited(0, str(i), 0.0) for i in range(100))
    assert all(is_audited(0, str(i), 1.0) for i in range(100))


def test_the_share_is_met_and_a_larger_one_contains_a_smaller():
    small = {i for i in range(4000) if is_audited(5, str(i), 0.1)}
    large = {i for i in range(4000) if is_audited(5, str(i), 0.3)}
    assert stats.binomtest(len(small), 4000, 0.1).pvalue > 1e-4
    assert small <= large


def test_another_seed_audits_others():
    assert [is_audited(1, str(i), 0.5) for i in range(64)] != [is_audited(2, str(i), 0.5) for i in range(64)]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_invalid(share):
    with pytest.raises(InvalidArgument):
        is_audited(0, "d", share)


def test_without_an_audit_there_is_no_estimate():
    found = residual_error(0, 0)
    assert (found.value, found.low, found.high, found.n) == (None, None, None, 0)


@pytest.mark.parametrize(("wrong", "n"), [(1, 20), (7, 50), (19, 20)])
def test_the_limits_are_those_of_clopper_and_pearson(wrong, n):
    found = residual_error(wrong, n)
    assert found.value == wrong / n
    # at the lower limit seeing so many errors or more has probability 0.025, at the upper so many or fewer
    assert stats.binom.sf(wrong - 1, n, found.low) == pytest.approx(0.025)
    assert stats.binom.cdf(wrong, n, found.high) == pytest.approx(0.025)


def test_no_error_found_still_leaves_an_upper_limit():
    assert residual_error(0, 59).high == pytest.approx(1 - 0.025 ** (1 / 59))


def test_more_errors_than_audits_are_invalid():
    with pytest.raises(InvalidArgument):
        residual_error(3, 2)
