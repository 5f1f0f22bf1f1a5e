"""Who answers a question: the model, the reference or an expert, and what an audit finds."""

from __future__ import annotations

import pytest

from shared.objects.dataset import read_manifest
from shared.rows.annotation import Decision
from shared.rpc.operations import await_operation
from tests.support.annotation import put_rows
from tests.support.rows import build as row_of


def test_in_a_cold_start_the_expert_sees_every_answer(house):
    with house.server() as channel:
        request = house.request(house.known_answers(channel), simulated_oracle_accuracy=0.5)
        rows, unanswered, summary = house.annotate(channel, request)
        reviews = house.reviews()
    assert len(rows) == 8
    assert unanswered == []
    assert [row.decision_id for row in rows] == sorted(row.decision_id for row in rows)
    assert all(row.answer == house.world.truth(row.image_id, row.question) for row in rows)
    assert {row.route for row in rows} == {"review"}
    assert all((row.expert_action == "accept") == (row.reference_answer == row.answer) for row in rows)
    assert set(summary.expert_actions) == {"accept", "edit"}
    assert summary.simulated
    assert all(row.simulated for row in rows)
    assert reviews == {row.decision_id: 1 for row in rows}
    assert len(house.neighbours.generated) == 1


def test_a_cold_start_asks_the_model_too_and_adopts_nothing_of_it(house):
    house.neighbours.answer = lambda row: ("A", -0.25)
    with house.server() as channel:
        rows, _, summary = house.annotate(channel, house.request(house.known_answers(channel)))
    assert {(row.route, row.self_answer, row.entropy) for row in rows} == {("review", "A", 0.25)}
    assert all(row.agreement == float(row.reference_answer == "A") for row in rows)
    assert {row.answer for row in rows} == {"A", "B"}
    assert summary.review_share == 1.0
    assert summary.calibration is None


def test_a_later_round_fits_the_threshold_on_the_reviews_of_the_earlier_ones(house):
    """The model is right where its entropy is low: what it is unsure of is no longer adopted."""
    reviews = [
        row_of(
            Decision, decision_id=f"{i:032x}", entropy=i / 100, self_answer="A", answer="A" if i < 40 else "B",
            agreement=1.0, expert_action="accept" if i < 40 else "edit", route="review",
        )
        for i in range(80)
    ]  # fmt: skip
    earlier = put_rows(house.objects, "decisions", decisions=reviews, unanswered=[])
    logprobs = iter([-0.1, -0.3, -0.6, -0.6] * 2)
    house.neighbours.answer = lambda row: ("A", next(logprobs))
    with house.server() as channel:
        known = house.known_answers(channel)
        request = house.request(known, is_cold_start=False, target_error_rate=0.1, calibration_uris=[earlier])
        rows, _, summary = house.annotate(channel, request)
        manifest = read_manifest(house.objects, await_operation(channel, "op").result_uri)
    fit = summary.calibration
    assert (fit.n_reviewed, fit.n_adopted, fit.n_wrong, fit.target_error_rate) == (80, 40, 0, 0.1)
    assert fit.tau_entropy == pytest.approx(0.395)
    assert fit.upper_error_rate == pytest.approx(1 - 0.05 ** (1 / 40))
    assert {row.entropy for row in rows if row.route == "reference"} == {0.6}
    assert {row.entropy for row in rows if row.route != "reference"} == {0.1, 0.3}
    assert manifest.parents[-1] == earlier


def test_without_reviews_no_threshold_can_be_fitted_and_nothing_of_the_model_is_adopted(house):
    house.neighbours.answer = lambda row: ("A", -0.001)
    with house.server() as channel:
        request = house.request(house.known_answers(channel), is_cold_start=False, target_error_rate=0.1)
        rows, _, summary = house.annotate(channel, request)
    assert {row.route for row in rows} == {"reference"}
    assert (summary.calibration.tau_entropy, summary.calibration.n_reviewed) == (0.0, 0)


def test_a_bad_log_probability_costs_one_question_an_expert_and_not_the_operation(house):
    logprobs = iter([0.5] + [-0.1] * 7)
    house.neighbours.answer = lambda row: ("A", next(logprobs))
    with house.server() as channel:
        rows, unanswered, summary = house.annotate(
            channel, house.request(house.known_answers(channel), is_cold_start=False)
        )
    assert unanswered == []
    bad = [row for row in rows if row.route_reason]
    assert [(row.route, row.entropy) for row in bad] == [("expert", None)]
    assert summary.route_reasons == {bad[0].route_reason: 1}


def test_later_rounds_route_by_entropy_and_agreement(house):
    def answer(row):
        number = house.world.image_uris.index(row.image_uri)
        wrong = "C" if len(row.options) > 2 else "A"
        # Confident and right, confident and wrong, uncertain, without a readable choice.
        return [("A", -0.1), (wrong, -0.1), ("A", -2.0), (None, -0.1)][number]

    house.neighbours.answer = answer
    with house.server() as channel:
        request = house.request(house.known_answers(channel), is_cold_start=False)
        rows, _, summary = house.annotate(channel, request)
    routes = {row.image_id: row.route for row in rows}
    in_order = [routes[uri.removeprefix("sha256:")] for uri in house.world.image_uris]
    assert in_order == ["self", "expert", "reference", "expert"]
    assert all(row.answer == house.world.truth(row.image_id, row.question) for row in rows)
    assert {row.entropy for row in rows} == {0.1, 2.0}
    assert [row.self_answer for row in rows if row.agreement is None] == [None, None]
    assert {row.route_reason for row in rows if row.self_answer is None} == {
        "the model is confident, and no choice or quality level can be read from its reply"
    }
    assert summary.review_share == 0.5
    assert house.neighbours.generated[0].sampling.temperature == 0


def test_an_audit_of_everything_finds_what_the_oracle_got_wrong(house):
    house.neighbours.answer = lambda row: ("A", -9.0)
    with house.server() as channel:
        known = house.known_answers(channel)
        request = house.request(known, is_cold_start=False, audit_share=1.0, simulated_oracle_accuracy=0.0)
        rows, _, summary = house.annotate(channel, request)
    assert {(row.route, row.audited_route, row.expert_action) for row in rows} == {("audit", "reference", "edit")}
    error = summary.residual_error
    assert (error.value, error.n, error.n_wrong, error.population) == (1.0, 8, 8, 0)
    assert error.n_sources == len({row.source_id for row in rows})
    assert error.low == pytest.approx(0.025 ** (1 / error.n_sources))
    assert summary.by_route["reference"].review_share == summary.by_route["reference"].share == 1.0
    assert summary.by_route["reference"].error == error
