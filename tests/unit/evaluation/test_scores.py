import numpy as np
import pytest
from msgspec.structs import replace

from services.evaluation.domain.scores import accuracy, perception_scores
from shared.rows.evaluation import Answer, Score
from tests.support.rows import build

OPTIONS = {"A": "Yes", "B": "No"}


def row(item: int, correct: bool | None, **fields: object) -> Answer:
    answer = {True: "B", False: "A", None: "Maybe"}[correct]
    values = {
        "item_id": f"item-{item}",
        "source_id": f"source-{item % 5}",
        "modality": "mri",
        "question_type": "yes_no",
        "attribute": "",
        "severity": "mild",
        "scope": "general",
        "answer": answer,
        "choice": answer if correct is not None else None,
        "gold": "B",
        "scored": correct is not None,
        "correct": correct,
    }
    return build(Answer, **(values | fields))


def score(rows):
    options = {r.item_id: OPTIONS for r in rows}
    return perception_scores(rows, options, "strict", seed=0, n_resamples=200)


def lost(item: int, **fields: object) -> Answer:
    return row(item, None, answer="", evaluated=False, **fields)


def test_accuracy_is_right_over_evaluated_and_an_unreadable_reply_is_wrong():
    rows = [row(0, True), row(1, False), row(2, True), row(3, None)]
    overall = score(rows).perception.overall
    assert (overall.value, overall.n, overall.unscored) == (0.5, 4, 0)
    assert (overall.scored, overall.coverage) == (pytest.approx(2 / 3), 0.75)
    assert overall.low <= overall.value <= overall.high


def test_a_model_that_refuses_seventy_percent_of_thirty_items_is_not_perfect():
    rows = [row(i, True if i < 9 else None) for i in range(30)]
    overall = score(rows).perception.overall
    assert (overall.value, overall.n, overall.unscored) == (pytest.approx(0.3), 30, 0)
    assert (overall.scored, overall.coverage) == (1.0, pytest.approx(0.3))
    assert overall.high < 0.6


def test_what_we_could_not_evaluate_is_counted_and_in_no_figure():
    rows = [row(0, True), row(1, False), row(2, None)]
    with_lost, without = score([*rows, lost(3), lost(4)]), score(rows)
    assert with_lost.perception.overall == replace(without.perception.overall, unscored=2)
    assert with_lost.extractors.official == replace(without.extractors.official, unscored=2)
    assert with_lost.extractors.disagreement == replace(without.extractors.disagreement, unscored=2)


def test_nothing_evaluated_has_no_value_and_nothing_readable_has_none_over_the_readable():
    nothing = Score(value=None, low=None, high=None, n=0, unscored=0, scored=None, coverage=None, n_sources=0)
    assert accuracy([], seed=0) == nothing
    assert accuracy([lost(0)], seed=0) == replace(nothing, unscored=1)
    silent = accuracy([row(0, None)], seed=0)
    assert (silent.value, silent.n, silent.scored, silent.coverage) == (0.0, 1, None, 0.0)


def test_a_hundred_replies_that_the_leaderboard_cannot_read_are_zero_by_both_names():
    rows = [row(i, None, answer="Yes") for i in range(100)]
    scores = perception_scores(rows, {r.item_id: OPTIONS for r in rows}, "official", seed=0, n_resamples=200)
    assert scores.perception.overall.value == scores.extractors.official.value == 0.0
    assert scores.perception.overall == scores.extractors.official


def test_each_axis_is_grouped_by_value_and_empty_values_are_in_no_group():
    rows = [row(0, True), row(1, False, modality="ct"), row(2, True, modality="ct", severity="")]
    scores = score(rows).perception
    assert list(scores.by_modality) == ["ct", "mri"]
    assert list(scores.by_question_type) == ["yes_no"]
    assert list(scores.by_attribute) == []
    assert list(scores.by_severity) == ["mild"]
    assert list(scores.by_scope) == ["general"]
    assert (scores.by_modality["ct"].value, scores.by_severity["mild"].n) == (0.5, 2)


def test_a_group_has_the_same_interval_whatever_else_is_scored():
    mri = [row(i, i % 3 > 0) for i in range(30)]
    rest = [row(i, True, modality="ct") for i in range(40)]
    assert score(mri).perception.by_modality["mri"] == score(mri + rest).perception.by_modality["mri"]


def test_runs_of_one_item_are_not_independent_evidence():
    once = [row(i, i % 2 == 0, source_id=f"source-{i}") for i in range(20)]
    five_times = [replace(r, run=run) for run in range(5) for r in once]
    first, second = accuracy(once, seed=0), accuracy(five_times, seed=0)
    assert (first.value, first.low, first.high) == pytest.approx((second.value, second.low, second.high))


def test_published_reading_counts_the_unreadable_as_wrong_and_both_readings_are_compared():
    rows = [
        row(0, True),
        row(1, True, answer="No", choice="B"),
        row(2, True, answer="A clear image, so B", choice="B"),
        row(3, None),
    ]
    scores = score(rows)
    official = scores.extractors.official
    assert (scores.perception.overall.value, scores.perception.overall.scored) == (0.75, 1.0)
    assert (official.value, official.n, official.unscored) == (0.25, 4, 0)
    assert (official.scored, official.coverage) == (0.5, 0.5)
    assert (scores.extractors.disagreement.value, scores.extractors.disagreement.coverage) == (0.5, 1.0)


def test_order_of_rows_does_not_matter():
    rows = [row(i, [True, False, None][i % 3]) for i in range(30)]
    order = np.random.default_rng(0).permutation(30)
    assert score(rows) == score([rows[i] for i in order])
