"""The estimate of a run's costs against sums by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.controller.domain import estimate as of
from services.controller.domain.estimate import Endpoint, Plan, Range, estimate, is_real, totals, warnings
from services.controller.domain.estimate_assumptions import assumptions
from services.controller.domain.ledger import Limits
from services.evaluation.domain.grading import AXES
from services.evaluation.domain.judge_anchors import ANCHORS
from services.evaluation.domain.reply_judging import choice_request
from services.oracle.adapters import simulated_oracle
from services.oracle.domain import review
from services.oracle.work import self_annotation

PAID = Endpoint("gpt", usd_in=2.0, usd_out=8.0, image_tokens=1000)
PLAN = Plan(
    n_arms=2, rounds=2, budget=100, n_pool=150, questions_per_image=3, oracle=PAID, expert="review", audit_share=0.1
)


def line(plan: Plan, kind: str, number: int) -> of.Line:
    (found,) = [one for one in estimate([plan]) if (one.kind, one.round) == (kind, number)]
    return found


def test_the_oracle_costs_its_tokens_at_the_price_of_the_endpoint():
    found = line(PLAN, "oracle", 0)
    assert found.calls == Range(200, 400)  # 2 arms of 100 images, each asked once or twice
    text, answer = (
        of.ORACLE_TEXT_TOKENS,
        [base + 3 * more for base, more in zip(of.ORACLE_ANSWER_TOKENS, of.ORACLE_QUESTION_TOKENS, strict=True)],
    )
    least = 200 * ((1000 + text[0]) * 2.0 + answer[0] * 8.0) / 1e6
    most = 400 * ((1000 + text[1]) * 2.0 + answer[1] * 8.0) / 1e6
    assert (found.usd.low, found.usd.high) == (pytest.approx(least), pytest.approx(most))
    assert found.tokens.high == pytest.approx(400 * (1000 + text[1] + answer[1]))


def test_a_pool_that_runs_out_is_drawn_to_its_end():
    assert line(PLAN, "oracle", 1).calls.low == 100  # 50 images are left for each arm
    assert line(replace(PLAN, n_pool=None), "oracle", 1).calls.low == 200
    assert [one.round for one in estimate([replace(PLAN, n_pool=100)]) if one.kind == "oracle"] == [0]


def test_experts_see_all_of_round_0_and_a_share_after_it():
    first, later = line(PLAN, "expert", 0), line(PLAN, "expert", 1)
    assert first.calls == Range(800, 800)  # three questions and a description of each
    assert (later.calls.low, later.calls.high) == (pytest.approx(400 * 0.1), pytest.approx(400 * of.MOST_LATER_REVIEWS))
    seconds = of.REVIEW_SECONDS
    assert first.expert_hours.low == pytest.approx(800 * seconds[0] / 3600)
    assert first.expert_hours.high == pytest.approx(800 * seconds[1] / 3600)


def test_an_audit_of_everything_is_not_cut_to_what_is_assumed():
    assert line(replace(PLAN, audit_share=0.9), "expert", 1).calls == Range(360, 360)


def test_without_an_expert_nobody_is_asked():
    assert "expert" not in {one.kind for one in estimate([replace(PLAN, expert="none")])}


def test_a_judge_is_asked_of_each_description_on_four_axes_after_each_training_too():
    plan = replace(PLAN, judge=PAID, n_descriptions=10)
    # 10 descriptions, and in each arm 9 anchors once or twice (dev, test), on 4 axes each
    expected = [Range(40 + 72, 80 + 144), Range(80 + 72, 80 + 144), Range(80 + 72, 80 + 144)]
    assert [line(plan, "judge", number).calls for number in range(3)] == expected
    assert (len(ANCHORS), len(AXES)) == (of.JUDGE_ANCHORS, of.JUDGE_AXES)
    assert "judge" not in {one.kind for one in estimate([replace(plan, n_descriptions=0)])}


READ = replace(PLAN, reader=PAID, n_replies=70, reply_tokens=64)


def test_a_judge_reads_from_no_reply_to_every_one_in_evaluations_and_about_drawn_images():
    found = [line(READ, "reading", number) for number in range(3)]
    # 2 arms: 70 replies each time, and to three questions about the 100, then 50, images that each draws before it trains
    assert [one.calls for one in found] == [Range(0, 740), Range(0, 440), Range(0, 140)]
    into, out = of.READING_TEXT_TOKENS[1] + 64, of.READING_ANSWER_TOKENS[1]
    assert found[2].tokens == Range(0, 140 * (into + out))
    assert found[2].usd.high == pytest.approx(140 * (into * 2.0 + out * 8.0) / 1e6)
    assert found[2].usd.low == 0
    assert any("upper bound" in told for told in assumptions([READ]))


def test_replies_that_could_not_be_counted_are_said_to_be_missing_in_the_bound():
    plan = replace(READ, n_replies=None)
    assert line(plan, "reading", 0).calls == Range(0, 600)
    assert "reading" not in {one.kind for one in estimate([plan]) if one.round == 2}
    assert any("could not be counted" in told for told in assumptions([plan]))


def test_the_longest_verdict_and_reply_are_those_of_the_services():
    assert of.READING_ANSWER_TOKENS[1] == choice_request("?", {}, "").max_tokens
    assert of.SELF_ANSWER_TOKENS == self_annotation.MAX_NEW_TOKENS


def test_the_instructions_to_a_reader_are_within_the_tokens_that_are_estimated():
    """No token is shorter than a byte, and few are longer than six."""
    options = {"A": "Yes", "B": "No"}
    text = choice_request("Is there motion in the image?", options, "").text.encode()
    assert of.READING_TEXT_TOKENS[0] <= len(text) / 6
    assert len(text) <= of.READING_TEXT_TOKENS[1]


def test_what_is_simulated_costs_as_much_as_the_ledger_will_note_and_is_not_real():
    plan = replace(PLAN, oracle=of.SIMULATED_ORACLE, expert="simulated")
    assert not is_real(estimate([plan]))
    assert line(plan, "expert", 0).calls == Range(600, 600)
    prices = (simulated_oracle.USD_PER_MILLION_TOKENS_IN, simulated_oracle.USD_PER_MILLION_TOKENS_OUT)
    assert (of.SIMULATED_ORACLE.usd_in, of.SIMULATED_ORACLE.usd_out) == prices
    assert of.SIMULATED_ORACLE.image_tokens == simulated_oracle.IMAGE_TOKENS
    assert of.REVIEW_SECONDS[0] == review.REVIEW_SECONDS


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"expert": "none"}, True),
        ({"expert": "none", "oracle": Endpoint("own", 0, 0, 1000)}, False),
        ({"expert": "review", "oracle": of.SIMULATED_ORACLE}, True),
        ({"expert": "simulated", "oracle": of.SIMULATED_ORACLE, "judge": PAID, "n_descriptions": 1}, True),
        ({"rounds": 0}, False),
    ],
)
def test_a_run_is_real_where_money_is_paid_or_people_are_asked(changes: dict[str, object], expected: bool):
    assert is_real(estimate([replace(PLAN, **changes)])) is expected  # type: ignore[arg-type]


def test_the_totals_are_the_sums_of_the_rounds():
    lines = estimate([PLAN])
    for total in totals(lines):
        own = [one for one in lines if one.kind == total.kind]
        assert total.round is None
        assert total.usd.high == pytest.approx(sum(one.usd.high for one in own))
        assert total.calls.low == pytest.approx(sum(one.calls.low for one in own))
        assert total.expert_hours.low == pytest.approx(sum(one.expert_hours.low for one in own))


@pytest.mark.parametrize(("max_usd", "word"), [(0.01, "will need more"), (3.0, "may need more"), (1000.0, "")])
def test_a_limit_below_the_costs_is_warned_of(max_usd: float, word: str):
    told = list(warnings(totals(estimate([PLAN])), Limits(max_usd)))
    assert len(told) == bool(word)
    assert all(word in sentence and "stop.max_usd" in sentence for sentence in told)


def test_each_assumption_is_a_sentence():
    for plan in (PLAN, replace(PLAN, judge=PAID, n_descriptions=None, n_pool=None, oracle=of.SIMULATED_ORACLE)):
        assert all(told[0].isupper() and told.endswith((".", ".)")) for told in assumptions([plan]))


def test_arms_that_differ_are_estimated_each_by_its_own_plan():
    """What two endpoints are asked stands in two lines; what experts see, and what is evaluated, in one."""
    other = replace(PLAN, n_arms=1, budget=20, oracle=replace(PAID, name="cheap", usd_in=0.0), expert="simulated")
    lines = estimate([replace(PLAN, judge=PAID, n_descriptions=10), replace(other, judge=PAID, n_descriptions=10)])
    first = [(one.kind, one.endpoint, one.calls) for one in lines if one.round == 0]
    assert first == [
        ("judge", "gpt", Range(40 + 108, 120 + 216)),  # one arm, or three; 9 anchors in each of three, once or twice
        ("oracle", "gpt", Range(200, 400)),
        ("expert", "review", Range(800, 800)),
        ("oracle", "cheap", Range(20, 40)),
        ("expert", "simulated", Range(80, 80)),
    ]
    assert [(one.kind, one.endpoint) for one in totals(lines)] == [one[:2] for one in first]
    assert sum("A call to the oracle" in told for told in assumptions([PLAN, other])) == 2


def test_arms_that_differ_in_the_budget_alone_have_one_line_together():
    (found,) = [
        one for one in estimate([PLAN, replace(PLAN, n_arms=1, budget=10)]) if (one.kind, one.round) == ("oracle", 0)
    ]
    assert found.calls == Range(210, 420)
