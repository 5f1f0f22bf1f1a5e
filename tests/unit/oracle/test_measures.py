from __future__ import annotations

from services.oracle.domain.measures import Shares, calibration_entries, calibration_of, effective, measured, shown
from services.oracle.domain.review import CALIBRATION_FIRST, Verdict
from services.oracle.domain.review_statistics import statistics_of
from shared.rows.benchmark import Item
from tests.support.reviews import queue_entries, queue_entry
from tests.support.rows import build

FOUR = {"A": "Noise", "B": "Blur", "C": "Ghost", "D": "None"}


def said(action: str, answer: str | None, reviewer: str = "ann", seconds: float = 4.0) -> Verdict:
    return Verdict(action, answer, "", seconds, reviewer)


def test_shares_mark_questions_with_options_by_key() -> None:
    entries = [*queue_entries(300, options=FOUR), queue_entry(999, options={})]
    assert measured(entries, Shares(), seed=1) == entries
    found = measured(entries, Shares(overlap=0.2, blind=0.3, planted=0.25), seed=1)
    assert found == measured(entries, Shares(overlap=0.2, blind=0.3, planted=0.25), seed=1)
    planted = [one for one in found if one.planted]
    assert 50 < len(planted) < 100
    assert {one.planted for one in planted} == {"C", "D"}  # neither what the oracle nor what the model said
    assert not any(one.is_blind or one.is_overlapped for one in planted)
    assert any(one.is_blind and one.is_overlapped for one in found)
    assert found[300] == entries[300]


def test_nothing_is_planted_where_every_option_was_said_or_nothing_is_proposed() -> None:
    entries = [queue_entry(0, options={"A": "Yes", "B": "No"}), queue_entry(1, options=FOUR, proposal=None)]
    assert not any(one.planted for one in measured(entries, Shares(planted=1.0), seed=1))


def test_a_planted_error_stands_in_the_place_of_the_proposal() -> None:
    entry = queue_entry(options=FOUR, reference_answer="A", self_answer="B", proposal="A", agreement=0.0)
    of_oracle = shown(measured([entry], Shares(planted=1.0), seed=1)[0], is_told=False)
    assert of_oracle.proposal == of_oracle.reference_answer in ("C", "D")
    assert (of_oracle.self_answer, of_oracle.agreement) == ("B", 0.0)
    same = queue_entry(options=FOUR, reference_answer="A", self_answer="A", proposal="A", agreement=1.0)
    of_both = shown(measured([same], Shares(planted=1.0), seed=1)[0], is_told=True)
    assert of_both.proposal == of_both.reference_answer != of_both.self_answer == "A"
    assert of_both.agreement == 0.0


def test_a_blind_question_shows_nobodys_answer_until_it_is_decided() -> None:
    entry = queue_entry(is_blind=True)
    hidden, after = shown(entry, is_told=False), shown(entry, is_told=True)
    assert after == entry.asked
    assert {hidden.proposal, hidden.reference_answer, hidden.self_answer, hidden.entropy, hidden.agreement} == {None}
    assert hidden.question == entry.asked.question


def test_what_counts_is_said_about_the_proposal_as_it_was() -> None:
    planted, blind = queue_entry(options=FOUR, planted="D"), queue_entry(is_blind=True)
    assert effective(planted, said("accept", "D")) is None
    assert effective(planted, said("edit", "D")) is None
    assert effective(planted, said("edit", "A")) == said("accept", "A")
    assert effective(planted, said("edit", "C")) == said("edit", "C")
    assert effective(planted, said("reject", None)) == said("reject", None)
    assert effective(blind, said("edit", "A")) == said("accept", "A")
    assert effective(queue_entry(), said("accept", "A")) == said("accept", "A")


def test_calibration_asks_each_reviewer_the_same_questions_of_the_dev_set() -> None:
    items = [build(Item, item_id=f"i{n}", options=FOUR, answer="B") for n in range(20)]
    items.append(build(Item, item_id="text", options={}, answer="Good."))
    found = calibration_entries(items, 5, 3, "run", "arm")
    assert len({one.asked.question.question_id for one in found}) == 5
    assert len(calibration_entries(items, 50, 3, "run", "arm")) == 20
    ann, bob = calibration_of(found[0], "ann"), calibration_of(found[0], "bob")
    assert ann.asked.question == bob.asked.question
    assert len({ann.task_id, bob.task_id, ann.ledger_key, bob.ledger_key}) == 4
    assert (ann.known_answer, ann.priority, ann.asked.proposal) == ("B", CALIBRATION_FIRST, None)


def test_statistics_count_what_measures_apart() -> None:
    entries = queue_entries(4, options=FOUR, attribute="noise")
    planted, blind = queue_entry(7, options=FOUR, planted="D"), queue_entry(8, is_blind=True)
    found = statistics_of(
        [
            (entries[0], said("accept", "A", seconds=2)),
            (entries[1], said("edit", "C", seconds=10)),
            (entries[2], said("reject", None)),
            (entries[3], said("accept", "A", "bob", seconds=1)),
            (planted, said("accept", "D", seconds=6)),
            (blind, said("edit", "A")),
            (queue_entry(9, known_answer="B"), said("edit", "B")),
            (queue_entry(10, known_answer="B"), said("edit", "A")),
        ]
    )
    ann = found.reviewers["ann"]
    assert (ann.n, ann.accepted, ann.edited, ann.rejected) == (4, 1, 2, 1)
    assert (ann.planted, ann.planted_accepted, ann.blind, ann.blind_same) == (1, 1, 1, 1)
    assert (ann.calibration, ann.calibration_right) == (2, 1)
    assert (ann.active_seconds, ann.median_accept_seconds) == (34.0, 4.0)
    assert list(found.reviewers) == ["ann", "bob"]
    assert {cell: one.n for cell, one in found.cells.items()} == {("ct", ""): 1, ("ct", "noise"): 4}
    assert statistics_of([]).agreement.n == 0
