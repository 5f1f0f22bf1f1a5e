"""A judge that changes during a run is seen by what it says of texts that never change."""

from msgspec.structs import replace

from services.controller.domain.judge_drift import judge_drift
from services.controller.domain.round_facts import ArmFacts, RoundFacts
from shared.rows.evaluation import Scores
from tests.support.rows import build

ANCHORS = {"faithful": 8.0, "partial": 4.0, "contrary": 1.0}


def scores(judge="gpt-4o, prompt 1", **anchors):
    own = build(Scores)
    return replace(own, description=replace(own.description, judge=judge, anchors={**ANCHORS, **anchors}))


def arm(*rounds, name="a"):
    return ArmFacts(name, "random", "seed_rule", None, [RoundFacts(n, dev=one) for n, one in enumerate(rounds)])


def test_a_judge_that_stays_within_the_tolerance_has_not_drifted():
    assert judge_drift([arm(scores(), scores(partial=4.5), scores(partial=3.5))]) == []


def test_a_level_that_moves_is_told_with_both_means():
    (drift,) = judge_drift([arm(scores(), scores(), scores(partial=4.6))])
    assert (drift.arm, drift.round, drift.split, drift.level) == ("a", 2, "dev", "partial")
    assert (drift.before, drift.after) == (4.0, 4.6)
    assert "4.60 of 8" in drift.text


def test_slow_drift_is_seen_since_each_round_is_compared_with_the_first():
    found = judge_drift([arm(scores(), scores(partial=4.4), scores(partial=4.8))])
    assert [drift.round for drift in found] == [2]


def test_every_arm_is_compared_with_the_first_evaluation_of_the_run():
    (drift,) = judge_drift([arm(scores()), arm(scores(contrary=3.0), name="b")])
    assert (drift.arm, drift.level) == ("b", "contrary")


def test_another_model_and_a_level_that_could_not_be_judged_are_told():
    other = scores("gpt-5, prompt 1")
    found = judge_drift([arm(scores(), other)])
    assert [drift.text for drift in found] == ["gpt-5, prompt 1 judged, and gpt-4o, prompt 1 before."]
    silent = replace(other, description=replace(scores().description, anchors={"faithful": 8.0}))
    assert [drift.level for drift in judge_drift([arm(scores(), silent)])] == ["contrary", "partial"]


def test_without_a_judge_there_is_nothing_to_compare():
    nobody = scores("")
    assert judge_drift([arm(nobody, replace(nobody, description=None), nobody)]) == []
