import numpy as np
import pytest
from msgspec.structs import replace

from services.controller.domain.gains import paired_gains
from shared.rows.evaluation import Answer
from tests.support.rows import build


def rows(right, n_runs=2, modality=lambda item: "ct"):
    """`right[i]`: how many of item i's runs are right; None: nothing of it is scored."""
    return [
        build(
            Answer,
            item_id=f"i{item}",
            source_id=f"s{item // 2}",
            modality=modality(item),
            scored=n is not None,
            correct=None if n is None else run < n,
        )
        for item, n in enumerate(right)
        for run in range(n_runs)
    ]


def test_the_gain_is_the_mean_over_items_of_the_change_in_the_share_of_right_answers():
    gains = paired_gains(rows([0, 1, 2, 0]), rows([2, 1, 1, 1]), seed=1)
    assert gains.overall.value == pytest.approx((1 + 0 - 0.5 + 0.5) / 4)
    assert gains.overall.low <= gains.overall.value <= gains.overall.high


def test_an_item_that_is_unscored_in_one_round_is_in_no_gain():
    gains = paired_gains(rows([0, None, 2]), rows([2, 2, None]), seed=1)
    assert (gains.overall.value, gains.overall.n) == (1.0, 1)


def test_fewer_than_half_of_the_answers_scored_is_unscored():
    before = rows([0, 0], n_runs=4)
    unscored = [replace(answer, scored=False) for answer in before[:3]]
    assert paired_gains([*unscored, *before[3:]], rows([4, 4], n_runs=4), seed=1).overall.n == 1


def test_each_modality_has_its_own_gain():
    parts = lambda item: "mri" if item else "ct"  # noqa: E731
    gains = paired_gains(rows([0, 2], modality=parts), rows([2, 0], modality=parts), seed=1)
    assert {name: gain.value for name, gain in gains.by_modality.items()} == {"ct": 1.0, "mri": -1.0}


def test_nothing_in_common_is_no_gain():
    assert paired_gains([], rows([1]), seed=1).overall.value is None


def test_the_order_of_the_answers_does_not_matter():
    before, after = rows([0, 1, 2, 0, 1]), rows([1, 1, 2, 2, 0])
    mixed = [after[place] for place in np.random.default_rng(0).permutation(len(after))]
    assert paired_gains(before, after, seed=3) == paired_gains(before, mixed, seed=3)
