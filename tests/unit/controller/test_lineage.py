"""Lineage over hand-made rows: every figure can be counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.controller.domain.ledger import SETTLED, Cost, Entry
from services.controller.domain.lineage import TRAINED_ON, is_about, item_round, sample_lineages
from services.controller.domain.lineage_facts import RoundRows
from shared.rows.annotation import REJECTED_BY_EXPERT, Decision, Unanswered
from shared.rows.evaluation import Answer
from shared.rows.failures import CapabilityErrorRate, Failure, PrototypeRow
from shared.rows.selection import Sample
from shared.rows.training import Dropped, Lineage
from tests.support.rows import build

MOTION, REST = "modality:mri+attribute:motion", "modality:mri+attribute:other"


def answers(**outcomes: str) -> list[Answer]:
    """Item to its runs, "+" right, "-" wrong, "?" unreadable; items called m... are of motion, others of noise."""
    attribute = {"m": "motion", "n": "noise"}
    return [
        build(
            Answer, item_id=item, run=run, modality="mri", attribute=attribute[item[0]],
            correct={"+": True, "-": False, "?": None}[outcome], choice=None if outcome == "?" else "AB"[outcome == "-"],
            answer="I cannot tell." if outcome == "?" else outcome,
        )
        for item, runs in outcomes.items()
        for run, outcome in enumerate(runs)
    ]  # fmt: skip


def failure(item: str, rate: float, prototype: str, cell: str = MOTION) -> Failure:
    return build(Failure, item_id=item, error_rate=rate, prototype_id=prototype, capabilities=(cell, "modality:mri"))


def cell(name: str, rate: float, **said: Any) -> CapabilityErrorRate:
    return build(CapabilityErrorRate, capability=name, error_rate=rate, **said)


ROWS = RoundRows(
    "arm",
    1,
    answers=answers(m1="---?", m2="--++", m3="++++", n1="----"),
    failures=[failure("m1", 1.0, "p000"), failure("m2", 0.5, "p001"), failure("n1", 1.0, "p001", REST)],
    prototypes=[build(PrototypeRow, prototype_id="p000", members=("m1",)),
                build(PrototypeRow, prototype_id="p001", members=("m2", "n1"))],
    capabilities=[cell(MOTION, 0.6), cell(REST, 1.0), cell("modality:mri", 0.7, is_drawn_for=False)],
    strategy="failure_driven",
    samples=[build(Sample, sample_id="s1", prototype_id="p001", capability=MOTION, similarity=0.8, contrast=None),
             build(Sample, sample_id="s2", prototype_id="", capability="", similarity=None, contrast=None),
             build(Sample, sample_id="s3", prototype_id="p001", capability=MOTION)],
    decisions=[build(Decision, decision_id="d1", sample_id="s1", prototype_id="p001", capability=MOTION, route="expert"),
               build(Decision, decision_id="d2", sample_id="s1", prototype_id="p001", capability=MOTION, route="self"),
               build(Decision, decision_id="d3", sample_id="s2", prototype_id="", capability="")],
    unanswered=[build(Unanswered, sample_id="s3", reason="the budget is spent")],
    trained=[build(Lineage, id="d1"), build(Lineage, id="replay/7", kind="replay")],
    dropped=[build(Dropped, id="d2", reason="near-duplicate text", detail="d1")],
    dataset_uri="sha256:x",
)  # fmt: skip
COSTS = [
    Entry(Cost(f"run/arm/1/{kind}/{sample}/aa", kind, usd=usd), 1, SETTLED)
    for kind, sample, usd in (("oracle", "s1", 0.5), ("expert", "s1", 0.0), ("oracle", "s2", 0.25))
]


def test_a_decision_leads_back_to_its_prototype_and_the_failures_behind_it():
    (found,) = sample_lineages(ROWS, "d1", COSTS)
    assert found.cause is not None
    assert (found.cause.strategy, found.cause.capability, found.cause.prototype_id) == (
        "failure_driven",
        MOTION,
        "p001",
    )
    assert [(one.item_id, one.error_rate) for one in found.cause.failures] == [("m2", 0.5), ("n1", 1.0)]
    assert (found.cause.similarity, found.fate, found.dataset_uri) == (0.8, TRAINED_ON, "sha256:x")
    assert [entry.cost.kind for entry in found.costs] == ["oracle", "expert"]


def test_a_drawn_sample_has_an_entry_for_each_decision_about_it():
    found = sample_lineages(ROWS, "s1", COSTS)
    assert [one.decision_id for one in found] == ["d1", "d2"]
    assert found[1].fate == "left out: near-duplicate text (d1)"


def test_what_contrast_drew_is_caused_by_the_failures_of_its_cell():
    drawn = build(Sample, sample_id="s9", prototype_id="", capability=MOTION, contrast=0.1, similarity=None)
    (found,) = sample_lineages(replace(ROWS, samples=[drawn]), "s9", [])
    assert found.cause is not None
    assert [one.item_id for one in found.cause.failures] == ["m1", "m2"]
    assert found.cause.contrast == 0.1


def test_no_failure_is_behind_what_a_control_or_a_score_drew():
    drawn = build(Sample, sample_id="s9", prototype_id="", capability=MOTION, contrast=0.1, similarity=None)
    (control,) = sample_lineages(replace(ROWS, samples=[drawn], strategy="shuffled_failures"), "s9", [])
    assert (control.cause.capability, control.cause.contrast, control.cause.failures) == (MOTION, 0.1, ())
    new = build(Sample, sample_id="s9", prototype_id="", capability="", similarity=None, measure="novelty", score=0.5)
    (peer,) = sample_lineages(replace(ROWS, samples=[new], strategy="novelty"), "s9", [])
    assert (peer.cause.strategy, peer.cause.score, peer.cause.failures) == ("novelty", 0.5, ())


def test_a_random_draw_has_no_cause_and_no_change():
    (found,) = sample_lineages(ROWS, "d3", COSTS)
    assert found.cause is not None
    assert (found.cause.capability, found.cause.prototype_id, found.cause.failures, found.changes) == ("", "", (), ())


def test_a_sample_without_a_decision_says_why():
    (found,) = sample_lineages(ROWS, "s3", COSTS)
    assert (found.decision, found.fate) == (None, "not decided: the budget is spent")


def test_an_image_about_which_nothing_was_asked_says_so():
    rows = replace(ROWS, unanswered=[build(Unanswered, sample_id="s3", question="", reason="it may not leave")])
    (found,) = sample_lineages(rows, "s3", COSTS)
    assert found.fate == "left without a question: it may not leave"


def test_what_the_expert_rejected_says_so():
    rejected = build(Decision, decision_id="d4", answer=None)
    (found,) = sample_lineages(replace(ROWS, decisions=[rejected]), "d4", [])
    assert found.fate == REJECTED_BY_EXPERT


def test_a_replayed_sample_has_nothing_behind_it():
    (found,) = sample_lineages(ROWS, "replay/7", COSTS)
    assert (found.kind, found.cause, found.fate) == ("replay", None, TRAINED_ON)


def test_the_errors_before_and_after_are_paired_over_the_items_that_have_both():
    later = replace(
        ROWS, later_answers=answers(m1="++--", m2="++++", n1="-+++"), later_capabilities=[cell(MOTION, 0.3)]
    )
    (found,) = sample_lineages(later, "d1", [])
    changes = {(one.what, one.name): one for one in found.changes}
    capability = changes["capability", MOTION]  # m3 was not evaluated again
    assert (capability.before, capability.after, capability.n_items) == (pytest.approx((1.0 + 0.5) / 2), 0.25, 2)
    assert (capability.error_rate_before, capability.error_rate_after) == (0.6, 0.3)
    prototype = changes["prototype", "p001"]
    assert (prototype.before, prototype.after, prototype.n_items) == (0.75, pytest.approx((0.0 + 0.25) / 2), 2)
    assert (changes["item", "m2"].before, changes["item", "m2"].after) == (0.5, 0.0)


def test_before_a_later_model_has_answered_nothing_is_said_of_after():
    (found,) = sample_lineages(ROWS, "d1", [])
    assert {one.after for one in found.changes} == {None}
    assert found.changes[0].before == pytest.approx((1.0 + 0.5 + 0.0) / 3)


def test_items_without_a_cell_of_their_own_belong_to_the_rest():
    drawn = build(Sample, sample_id="s9", prototype_id="", capability=REST)
    (found,) = sample_lineages(replace(ROWS, samples=[drawn]), "s9", [])
    assert (found.changes[0].name, found.changes[0].before, found.changes[0].n_items) == (REST, 1.0, 1)


def test_an_item_shows_what_its_prototype_drew_and_what_was_trained_on():
    found = item_round(ROWS, "m2")
    assert found is not None
    assert (found.is_failure, found.prototype_id, found.capability) == (True, "p001", MOTION)
    assert (found.n_runs, found.n_wrong, found.answers) == (4, 2, ("B", "B", "A", "A"))
    assert (found.sample_ids, dict(found.decided), found.n_trained) == (("s1", "s3"), {"expert": 1, "self": 1}, 1)


def test_an_unreadable_reply_is_wrong_and_shown_as_it_began():
    found = item_round(ROWS, "m1")
    assert found is not None
    assert (found.n_wrong, found.answers[-1]) == (4, "I cannot tell.")


def test_an_item_that_is_no_failure_says_so_and_one_that_nobody_looked_at_does_not():
    assert (found := item_round(ROWS, "m3")) is not None
    assert found.is_failure is False
    assert (found := item_round(replace(ROWS, failures=None), "m3")) is not None
    assert found.is_failure is None
    assert item_round(ROWS, "unknown") is None


@pytest.mark.parametrize(
    ("name", "is_known"), [("s2", True), ("d2", True), ("replay/7", True), ("d9", False), ("", False)]
)
def test_an_id_is_found_among_samples_decisions_and_training_samples(name: str, is_known: bool):
    assert is_about(ROWS, name) is is_known
