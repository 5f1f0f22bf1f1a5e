import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.evaluation.domain.likelihood import likeliest
from services.evaluation.domain.sampling import keyed_gumbel
from shared.errors import InvalidArgument

NO_NOISE = np.zeros(4)


def test_greedy_takes_the_likeliest_and_of_equals_the_first() -> None:
    assert likeliest([-3.0, -1.0, -2.0, -9.0], 0.0, NO_NOISE) == 1
    assert likeliest([-1.0, -1.0], 0.0, NO_NOISE[:2]) == 0


def test_draws_follow_the_probabilities() -> None:
    chances = [0.5, 0.3, 0.15, 0.05]
    n = 4000
    drawn = [
        likeliest([math.log(p) for p in chances], 1.0, keyed_gumbel(3, f"item-{i}", 0, 0, 4).astype(float))
        for i in range(n)
    ]
    for k, chance in enumerate(chances):
        assert drawn.count(k) / n == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / n))


def test_low_temperature_sharpens_the_draw() -> None:
    logprobs = [math.log(0.6), math.log(0.4)]
    n = 4000
    cold = [likeliest(logprobs, 0.5, keyed_gumbel(3, f"item-{i}", 0, 0, 2).astype(float)) for i in range(n)]
    expected = 0.36 / (0.36 + 0.16)  # p ** 2, divided so that both sum to 1
    assert cold.count(0) / n == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("logprobs", [[], [math.nan, -1.0], [-math.inf, -math.inf]])
def test_nothing_to_choose_from_is_refused(logprobs: list[float]) -> None:
    with pytest.raises(InvalidArgument):
        likeliest(logprobs, 0.0, np.zeros(len(logprobs)))


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=5))
def test_an_impossible_option_is_never_taken(logprobs: list[float]) -> None:
    noise = keyed_gumbel(0, "item", 0, 0, len(logprobs) + 1).astype(float)
    assert likeliest([-math.inf, *logprobs], 1.0, noise) > 0
