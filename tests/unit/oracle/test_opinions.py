from __future__ import annotations

import random

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from services.oracle.domain.agreement import krippendorff_alpha, pairs_of
from services.oracle.domain.opinions import adopted, third_opinions, with_second_opinions
from services.oracle.domain.review import FIRST, SECOND, THIRD, Verdict
from services.oracle.domain.review_statistics import statistics_of
from tests.support.reviews import queue_entries, queue_entry


def said(answer: str | None, reviewer: str = "ann") -> Verdict:
    return Verdict("reject" if answer is None else "edit", answer, "", 1.0, reviewer)


def test_a_share_of_the_questions_with_options_is_asked_twice() -> None:
    entries = [*queue_entries(400), queue_entry(500, options={})]
    found = with_second_opinions(entries, 0.25, seed=3)
    second = found[len(entries) :]
    assert [one.asked for one in found[: len(entries)]] == [one.asked for one in entries]
    assert 70 < len(second) < 130
    assert {one.opinion for one in second} == {SECOND}
    assert len({one.task_id for one in found}) == len({one.ledger_key for one in found}) == len(found)
    assert {one.item for one in second} == {one.item for one in found[: len(entries)] if one.item}
    assert with_second_opinions(entries, 0.25, seed=3) == found
    assert with_second_opinions(entries, 0.0, seed=3) == entries
    assert len(with_second_opinions(entries, 1.0, seed=3)) == 2 * len(entries) - 1


@pytest.mark.parametrize(
    ("opinions", "answer", "is_third_asked"),
    [
        ({FIRST: said("A"), SECOND: said("A", "bob")}, "A", False),
        ({FIRST: said("A"), SECOND: said("B", "bob")}, "undecided", True),
        ({FIRST: said("A"), SECOND: said(None, "bob")}, "undecided", True),
        ({FIRST: said(None), SECOND: said(None, "bob")}, None, False),
        ({FIRST: said("A"), SECOND: said("B", "bob"), THIRD: said("C", "eve")}, "C", True),
        ({FIRST: said("A")}, "A", False),
        ({SECOND: said("B", "bob")}, "B", False),
        ({}, "undecided", False),
    ],
)
def test_a_third_expert_decides_where_two_disagree(
    opinions: dict[int, Verdict], answer: str | None, is_third_asked: bool
) -> None:
    found = adopted(opinions)
    assert answer == ("undecided" if found is None else found.answer)
    first = queue_entry(is_overlapped=True, is_blind=True)
    thirds = third_opinions([first], {first.asked.decision_id: opinions})
    assert [one.opinion for one in thirds] == ([THIRD] if is_third_asked else [])
    if thirds:
        assert thirds[0].opinions == (opinions[FIRST], opinions[SECOND])
        assert not thirds[0].is_blind


@pytest.mark.parametrize("seed", range(5))
def test_alpha_is_that_of_the_library(seed: int) -> None:
    draw = random.Random(seed)
    table = [[draw.choice([0, 1, 1, 2, None]) for _ in range(30)] for _ in range(3)]
    units = [[row[column] for row in table if row[column] is not None] for column in range(30)]
    values = np.array([[np.nan if value is None else value for value in row] for row in table])
    known = krippendorff.alpha(reliability_data=values, level_of_measurement="nominal")
    assert krippendorff_alpha(units) == pytest.approx(known)


def test_alpha_needs_two_labels_of_one_question_and_two_different_ones() -> None:
    assert krippendorff_alpha([]) is None
    assert krippendorff_alpha([["a"], ["b"]]) is None
    assert krippendorff_alpha([["a", "a"], ["a", "a"]]) is None
    assert krippendorff_alpha([["a", "a"], ["b", "b"]]) == 1


def test_kappa_is_that_of_each_two_reviewers() -> None:
    draw = random.Random(1)
    units = [{"ann": draw.choice("xyz"), "bob": draw.choice("xyz")} for _ in range(40)]
    pairs = pairs_of([*units, {"eve": "x", "ann": "y"}, {"ann": "x"}])
    assert [(pair.first, pair.second, pair.n) for pair in pairs] == [("ann", "bob", 40), ("ann", "eve", 1)]
    known = cohen_kappa_score([unit["ann"] for unit in units], [unit["bob"] for unit in units])
    assert pairs[0].kappa == pytest.approx(known)
    assert pairs[0].n_same == sum(unit["ann"] == unit["bob"] for unit in units)


def test_agreement_is_about_texts_and_leaves_the_third_expert_out() -> None:
    entries = with_second_opinions(queue_entries(2), 1.0, seed=0)
    third = third_opinions(entries[:1], {"d-0": {FIRST: said("A"), SECOND: said("B")}})[0]
    other = with_second_opinions([queue_entry(1, options={"A": "Blur", "B": "Noise"})], 1.0, seed=0)
    decided = [
        (entries[0], said("A")), (entries[2], said("B", "bob")), (third, said("B", "eve")),
        (other[0], said("B")), (other[1], said("B", "bob")),
    ]  # fmt: skip
    found = statistics_of(decided).agreement
    assert (found.n, found.n_same, len(found.pairs)) == (2, 1, 1)
    labels = [["Noise", "Blur"], ["Noise", "Noise"]]
    assert found.alpha == pytest.approx(krippendorff_alpha(labels))
