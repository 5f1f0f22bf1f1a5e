import pytest

from services.evaluation.ports import Sampling
from services.evaluation.work.answering import sampling_digest


def test_greedy_answers_depend_neither_on_the_seed_nor_on_the_nucleus():
    assert sampling_digest(Sampling(1, 0.0, 1.0)) == sampling_digest(Sampling(2, 0.0, 0.5))


@pytest.mark.parametrize(
    "other", [Sampling(2), Sampling(1, 0.5), Sampling(1, top_p=0.9), Sampling(1, max_new_tokens=3)]
)
def test_sampled_answers_depend_on_every_setting(other):
    assert sampling_digest(Sampling(1)) != sampling_digest(other)
