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


def test_accuracy_is_right_over_scored_and_unscored_is_counted_apart():
    rows = [row(0, True), row(1, False), row(2, True), row(3, None)]
    overall = score(rows).perception.overall
    assert (overall.value, overall.n, overall.unscored) == (pytest.approx(2 / 3), 3, 1)
    assert overall.low <= overall.value <= overall.high


def test_nothing_scored_has_no_value():
    assert accuracy([row(0, None)], seed=0) == Score(value=None, low=None, high=None, n=0, unscored=1)
    assert accuracy([], seed=0) == Score(value=None, low=None, high=None, n=0, unscored=0)


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
    assert scores.perception.overall.value == 1.0
    assert (official.value, official.n, official.unscored) == (0.25, 4, 0)
    assert scores.extractors.disagreement.value == 0.5


def test_order_of_rows_does_not_matter():
    rows = [row(i, [True, False, None][i % 3]) for i in range(30)]
    order = np.random.default_rng(0).permutation(30)
    assert score(rows) == score([rows[i] for i in order])
