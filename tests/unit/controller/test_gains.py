import numpy as np
import pytest
from msgspec.structs import replace

from services.controller.domain.gains import paired_gains
from services.controller.domain.plateau import Regression, regression_gate
from shared.rows.evaluation import Answer
from tests.support.rows import build


def rows(right, n_runs=2, modality=lambda item: "ct"):
    """`right[i]`: how many of item i's runs are right; None: none of its replies can be read."""
    return [
        build(
            Answer,
            run=run,
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


def lost(answers, items=("i0",), n_runs=99):
    """The answers as they are where the first runs of some items could not be evaluated."""
    return [
        replace(answer, scored=False, correct=None, evaluated=False)
        if answer.item_id in items and answer.run < n_runs
        else answer
        for answer in answers
    ]


def test_an_unreadable_reply_is_wrong_before_and_after():
    gains = paired_gains(rows([0, None, 2, 2]), rows([2, 2, None, 2]), seed=1)
    assert (gains.overall.value, gains.overall.n) == (pytest.approx((1 + 1 - 1 + 0) / 4), 4)


def test_a_model_whose_answers_all_become_unreadable_regresses():
    by_modality = lambda item: "mri" if item < 6 else "ct"  # noqa: E731
    gains = paired_gains(rows([2] * 12, modality=by_modality), rows([None] * 12, modality=by_modality), seed=1)
    assert (gains.overall.value, gains.overall.high, gains.overall.n) == (-1.0, -1.0, 12)
    assert [one.modality for one in regression_gate(gains.by_modality, allowance=0.03)] == ["ct", "mri"]


def test_a_modality_that_turns_unreadable_fails_the_gate():
    by_modality = lambda item: "mri" if item < 4 else "ct"  # noqa: E731
    after = rows([None] * 4 + [2] * 8, modality=by_modality)
    gains = paired_gains(rows([1] * 12, modality=by_modality), after, seed=1)
    assert gains.overall.value > 0
    assert regression_gate(gains.by_modality, allowance=0.03) == (Regression("mri", 0.5, 0.03),)


def test_an_item_that_we_could_not_evaluate_in_one_round_is_in_no_gain():
    gains = paired_gains(lost(rows([2, 0, 2])), lost(rows([0, 2, 2]), items=("i2",)), seed=1)
    assert (gains.overall.value, gains.overall.n) == (1.0, 1)


def test_an_item_counts_from_half_of_its_runs_on():
    before, after = rows([4, 0], n_runs=4), rows([4, 4], n_runs=4)
    assert paired_gains(lost(before, n_runs=3), after, seed=1).overall.n == 1
    assert paired_gains(before, lost(after, n_runs=3), seed=1).overall.n == 1
    assert paired_gains(lost(before, n_runs=2), after, seed=1).overall.n == 2


def test_a_modality_that_we_cannot_evaluate_any_more_does_not_vanish_from_the_gate():
    by_modality = lambda item: "mri" if item == 0 else "ct"  # noqa: E731
    before, after = (rows(right, modality=by_modality) for right in ([2, 1, 1], [2, 2, 2]))
    gains = paired_gains(before, lost(after), seed=1)
    assert regression_gate(gains.by_modality, allowance=0.5) == (Regression("mri", None, 0.5),)
    assert "mri" not in paired_gains(lost(before), after, seed=1).by_modality  # there was nothing to compare with


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


def test_descriptions_are_in_no_gain():
    before, after = rows([0, 1]), rows([2, 1])
    described = [replace(one, item_id="d", question_type="description", correct=True) for one in after]
    assert paired_gains([*before, *described], [*after, *described], seed=1) == paired_gains(before, after, seed=1)
