"""Galleries: which items stand behind a search, in which order, and what became of what was drawn."""

from services.controller.domain.fates import Fates
from services.controller.domain.galleries import drawn_by, failed_items, with_answers
from services.controller.domain.lineage import shortened
from services.controller.domain.lineage_facts import RoundRows
from shared.rows.annotation import Decision, Unanswered
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from shared.rows.failures import Failure, PrototypeRow
from shared.rows.selection import Sample
from shared.rows.training import Dropped, Lineage
from tests.support.rows import build

RINGS, NOISE = "modality:ct+attribute:rings", "modality:ct+attribute:noise"


def answers(item_id, *rights, **said):
    return [build(Answer, item_id=item_id, run=run, correct=right, **said) for run, right in enumerate(rights)]


def asked(*ids):
    return [("", build(Item, item_id=item_id)) for item_id in ids]


def test_random_draws_belong_to_no_search():
    samples = [
        build(Sample, sample_id="a", prototype_id="p000"),
        build(Sample, sample_id="b", prototype_id="", capability=RINGS),
        build(Sample, sample_id="c", prototype_id="", capability=""),
        build(Sample, sample_id="d", prototype_id="p000"),
    ]
    found = drawn_by(samples, [RINGS, "p000", "unknown"], 0)
    assert [(name, sample.sample_id) for name, sample in found] == [(RINGS, "b"), ("p000", "a"), ("p000", "d")]
    assert [sample.sample_id for _, sample in drawn_by(samples, ["p000"], 1)] == ["a"]


def test_a_prototype_has_its_members_and_a_cell_the_failures_that_are_in_it_first():
    failures = [
        build(Failure, item_id="a", capabilities=(RINGS, NOISE)),
        build(Failure, item_id="b", capabilities=(NOISE, RINGS)),
        build(Failure, item_id="c", capabilities=()),
    ]
    prototypes = [build(PrototypeRow, prototype_id="p000", members=("b", "c"))]
    assert failed_items(failures, prototypes, ["p000", RINGS, ""]) == [("p000", "b"), ("p000", "c"), (RINGS, "a")]


def test_the_most_wrong_come_first_then_those_that_the_base_model_failed_and_what_was_not_evaluated_last():
    rounds = {
        0: [*answers("a", False, False), *answers("b", True, True), *answers("c", True, False)],
        2: [*answers("a", True, True), *answers("b", False, True), *answers("c", False, True),
            *answers("d", False, evaluated=False)],
    }  # fmt: skip
    found = with_answers(asked("d", "a", "b", "c"), rounds, 2, 0)
    assert [one.item.item_id for one in found] == ["c", "b", "a", "d"]
    assert [(by.round, by.n_runs, by.n_wrong) for by in found[0].answers] == [(0, 2, 1), (2, 2, 1)]
    assert found[-1].answers == []
    assert len(with_answers(asked("d", "a", "b", "c"), rounds, 2, 3)) == 3


def test_replies_are_counted_by_what_was_read():
    rows = [*answers("a", True, True), *answers("a", None, choice=None, answer="I do \n not know")]
    (found,) = with_answers(asked("a"), {0: rows}, 0, 0)
    assert found.answers[0].replies == {"B": 2, "I do not know": 1}


def test_each_question_about_a_sample_has_one_fate():
    def decided(number, answer="A"):
        return build(Decision, decision_id=f"d{number}", sample_id="s", answer=answer)

    rows = RoundRows(
        "arm",
        0,
        decisions=[decided(0), decided(1), decided(2), decided(3, None), decided(4)],
        unanswered=[
            build(Unanswered, sample_id="s", reason="the expert rejected it"),
            build(Unanswered, sample_id="s", reason="budget"),
            build(Unanswered, sample_id="t", question="", reason="unknown"),
        ],
        trained=[build(Lineage, id="d0"), build(Lineage, id="d4")],
        dropped=[build(Dropped, id=f"d{number}", reason="duplicate", detail=str(number)) for number in (1, 2)],
    )
    fates = Fates(rows)
    assert fates.of_sample("s") == {
        "trained on": 2,
        "left out: duplicate": 2,
        "the expert rejected it": 1,
        "not decided: budget": 1,
    }
    assert fates.of_sample("t") == {"left without a question: unknown": 1}
    assert fates.of_sample("nothing is known of it") == {}
    assert fates.of_decision(decided(2)) == "left out: duplicate (2)"


def test_a_long_text_is_cut_and_says_so():
    assert shortened("a b\n c", 5) == "a b c"
    assert shortened("a" * 9, 5) == "aaaa…"
