import numpy as np
import pytest
from scipy import stats

from services.evaluation.domain.sampling import keyed_gumbel
from shared.errors import InvalidArgument


def sample_token(logits, noise, temperature=1.0):
    """The Gumbel-max rule that the models draw by."""
    return int(np.argmax(logits / temperature + noise))


def test_noise_is_a_function_of_its_key_alone():
    first = keyed_gumbel(7, "item-1", 0, 3, 50)
    for other in (
        keyed_gumbel(8, "item-1", 0, 3, 50),
        keyed_gumbel(7, "item-1", 1, 3, 50),
        keyed_gumbel(7, "item-1", 0, 4, 50),
    ):
        assert not np.isclose(first, other).any()
    np.testing.assert_array_equal(first, keyed_gumbel(7, "item-1", 0, 3, 50))
    assert first.dtype == np.float32


def test_a_longer_vocabulary_keeps_the_noise_of_the_shorter():
    np.testing.assert_array_equal(keyed_gumbel(7, "x", 0, 0, 30), keyed_gumbel(7, "x", 0, 0, 90)[:30])


def test_keys_that_read_alike_when_joined_are_different_keys():
    assert not np.isclose(keyed_gumbel(1, "2", 3, 4, 20), keyed_gumbel(1, "23", 0, 4, 20)).any()


def test_noise_has_the_gumbel_distribution():
    noise = keyed_gumbel(0, "item", 0, 0, 20_000)
    assert stats.kstest(noise, "gumbel_r").pvalue > 0.01


def test_positions_of_one_answer_are_independent():
    tokens = [int(np.argmax(keyed_gumbel(0, "item", 0, position, 2))) for position in range(4001)]
    table = np.zeros((2, 2))
    np.add.at(table, (tokens[:-1], tokens[1:]), 1)
    assert stats.chi2_contingency(table).pvalue > 0.01


def test_no_vocabulary_is_refused():
    with pytest.raises(InvalidArgument):
        keyed_gumbel(0, "item", 0, 0, 0)
