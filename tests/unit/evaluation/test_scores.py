import numpy as np
import pytest

from services.evaluation.domain.scores import Score, accuracy, perception_scores

OPTIONS = {"A": "Yes", "B": "No"}


def row(item: int, correct: bool | None, **fields: object) -> dict[str, object]:
    answer = {True: "B", False: "A", None: "Maybe"}[correct]
    return {
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
        "correct": bool(correct),
    } | fields


def score(rows, **options):
    return perception_scores(rows, {r["item_id"]: OPTIONS for r in rows}, seed=0, n_resamples=200, **options)


def test_accuracy_is_right_over_scored_and_unscored_is_counted_apart():
    rows = [row(0, True), row(1, False), row(2, True), row(3, None)]
    overall = score(rows).overall
    assert (overall.value, overall.n, overall.unscored) == (pytest.approx(2 / 3), 3, 1)
    assert overall.low <= overall.value <= overall.high


def test_nothing_scored_has_no_value():
    assert accuracy([row(0, None)], seed=0) == Score(None, None, None, 0, 1)
    assert accuracy([], seed=0) == Score(None, None, None, 0, 0)


def test_each_axis_is_grouped_by_value_and_empty_values_are_in_no_group():
    rows = [row(0, True), row(1, False, modality="ct"), row(2, True, modality="ct", severity="")]
    by_axis = score(rows).by_axis
    assert {axis: list(of) for axis, of in by_axis.items()} == {
        "modality": ["ct", "mri"],
        "question_type": ["yes_no"],
        "attribute": [],
        "severity": ["mild"],
        "scope": ["general"],
    }
    assert (by_axis["modality"]["ct"].value, by_axis["severity"]["mild"].n) == (0.5, 2)


def test_a_group_has_the_same_interval_whatever_else_is_scored():
    mri = [row(i, i % 3 > 0) for i in range(30)]
    rest = [row(i, True, modality="ct") for i in range(40)]
    assert score(mri).by_axis["modality"]["mri"] == score(mri + rest).by_axis["modality"]["mri"]


def test_runs_of_one_item_are_not_independent_evidence():
    once = [row(i, i % 2 == 0, source_id=f"source-{i}") for i in range(20)]
    five_times = [r | {"run": run} for run in range(5) for r in once]
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
    assert scores.overall.value == 1.0
    assert (scores.official.value, scores.official.n, scores.official.unscored) == (0.25, 4, 0)
    assert scores.extractor_agreement.value == 0.5


def test_order_of_rows_does_not_matter():
    rows = [row(i, [True, False, None][i % 3]) for i in range(30)]
    order = np.random.default_rng(0).permutation(30)
    assert score(rows) == score([rows[i] for i in order])
