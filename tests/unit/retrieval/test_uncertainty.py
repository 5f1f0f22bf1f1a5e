import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.domain.uncertainty import uncertainty

probability = st.floats(0.51, 1)


def test_uncertainty_is_the_mean_over_questions_of_the_mean_over_tokens():
    """Half and a quarter: (ln 2 + ln 4) / 2; certain: 0."""
    assert uncertainty([[math.log(0.5), math.log(0.25)], [0.0]]) == pytest.approx(1.5 * math.log(2) / 2, abs=1e-6)


def test_answers_that_cannot_be_used_do_not_count():
    assert uncertainty([[], [-1.0]]) == 1.0
    assert uncertainty([[], []]) is None
    assert uncertainty([]) is None


@given(probability, probability)
def test_between_two_options_the_order_is_that_of_the_entropy_over_them(first, second):
    def entropy(p):
        return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)

    if abs(first - second) > 1e-4:
        is_less_sure = uncertainty([[math.log(first)]]) > uncertainty([[math.log(second)]])
        assert is_less_sure == (entropy(first) > entropy(second))
