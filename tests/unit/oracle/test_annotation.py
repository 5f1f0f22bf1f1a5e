from __future__ import annotations

import pytest
from msgspec.structs import replace

from services.oracle.domain.annotation import AUDIT, decision_row, make_task
from services.oracle.domain.questions import QuestionTemplate, question_digest
from services.oracle.domain.routing import EXPERT, REFERENCE, SELF
from services.oracle.domain.signals import (
    NO_ANSWER,
    REVIEW,
    UNREVIEWED,
    Signals,
    cold_start_signals,
    own_choice,
    own_description,
    routed_signals,
)
from services.oracle.domain.summary import summarise
from services.oracle.domain.text_similarity import TextSimilarity
from shared.rows.annotation import Generation, Unanswered
from shared.rows.selection import Sample
from tests.support.rows import build

TEMPLATE = QuestionTemplate("What is wrong?", {"A": "Noise", "B": "Blur"}, "what", "", "general", "ct")
SAMPLE = build(Sample)
TASK = make_task("arm", 1, SAMPLE, TEMPLATE, "A")


def reply(choice: str | None, logprobs: tuple[float, ...], **changes: object) -> Generation:
    return build(Generation, **{"choice": choice, "token_logprobs": logprobs, "answer_logprobs": None} | changes)


def routed(reference, own, **thresholds):
    return routed_signals(reference, own_choice(reference, own), **thresholds)


@pytest.mark.parametrize(
    ("choice", "logprobs", "route", "reason"),
    [
        ("A", (-0.1, -0.3), SELF, ""),
        ("B", (-0.1, -0.3), EXPERT, ""),
        ("A", (-1.0, 0.0), REFERENCE, ""),
        ("B", (-1.0, 0.0), REFERENCE, ""),
        (None, (-0.1,), EXPERT, NO_ANSWER),
        (None, (-0.9,), REFERENCE, ""),
    ],
)
def test_a_later_round_routes_by_the_paper_and_a_confident_reply_without_a_choice_to_the_expert(
    choice, logprobs, route, reason
):
    found = routed("A", reply(choice, logprobs), tau_entropy=0.5, tau_agreement=0.5)
    assert (found.route, found.reason) == (route, reason)
    assert found.entropy == pytest.approx(-sum(logprobs) / len(logprobs))
    assert found.agreement == (None if choice is None else float(choice == "A"))


@pytest.mark.parametrize("tau_agreement", [0.0, 0.5])
def test_no_answer_is_adopted_that_could_not_be_read(tau_agreement):
    found = routed("A", reply(None, (-0.1,)), tau_entropy=0.5, tau_agreement=tau_agreement)
    assert found.route == EXPERT


def test_entropy_is_that_of_the_tokens_that_carry_the_answer():
    own = reply("A", (-0.8, 0.0, 0.0), answer_logprobs=(-0.8,))
    assert routed("A", own, tau_entropy=0.5, tau_agreement=0.5).entropy == 0.8


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (
            reply("A", (), answer_logprobs=(), logprobs_fault="a log-probability is no finite number"),
            "no finite number",
        ),
        (reply("A", ()), "log-probabilities are needed"),
        (reply("A", (-0.1, 0.3)), "at most 0"),
        (reply("A", (-0.1, float("nan"))), "at most 0"),
    ],
)
def test_a_bad_log_probability_sends_one_question_to_the_expert_and_says_why(own, reason):
    found = routed("A", own, tau_entropy=0.5, tau_agreement=0.5)
    assert (found.route, found.entropy, found.self_answer, found.agreement) == (EXPERT, None, "A", 1.0)
    assert reason in found.reason
    assert reason in decision_row(TASK, found, ("accept", "A"), is_simulated=True).route_reason


def test_a_cold_start_is_reviewed_whatever_the_model_says_and_keeps_what_it_said():
    assert cold_start_signals("A", own_choice("A", reply("A", (-0.2,)))) == Signals("A", "A", 0.2, 1.0, REVIEW)
    assert cold_start_signals("A", own_choice("A", reply(None, ()))) == Signals("A", None, None, None, REVIEW)


def test_without_an_expert_a_cold_start_adopts_the_oracle_unreviewed_and_says_so():
    found = cold_start_signals("A", own_choice("A", reply("B", (-0.2,))), has_expert=False)
    assert (found.route, found.proposal, found.reason) == (REFERENCE, "A", UNREVIEWED)


GHOSTS = "Motion ghosts over the knee. Overall, the quality of this image is usable."
MORE_GHOSTS = "Ghosts of motion lie over the knee. Overall, the quality of this image is usable."
SIMILARITY = TextSimilarity([GHOSTS, MORE_GHOSTS])


def described(text: str, tau_text: float = 0.5):
    own = reply(None, (-0.1, -0.5), answer=text, answer_logprobs=(-9.0,))
    return own_description(GHOSTS, own, SIMILARITY, tau_text)


def test_entropy_of_a_description_is_over_its_whole_trajectory():
    assert routed_signals(GHOSTS, described(MORE_GHOSTS), 0.5, 0.5).entropy == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("text", "tau_text", "route", "agreement", "reason"),
    [
        (MORE_GHOSTS, 0.5, SELF, 1.0, ""),
        (MORE_GHOSTS, 1.0, EXPERT, 0.0, ""),
        (GHOSTS.replace("usable", "reject"), 0.0, EXPERT, 0.0, ""),
        ("Motion ghosts over the knee.", 0.0, EXPERT, None, NO_ANSWER),
    ],
)
def test_a_description_is_adopted_where_it_says_the_level_and_enough_of_the_words(
    text, tau_text, route, agreement, reason
):
    found = routed_signals(GHOSTS, described(text, tau_text), 0.5, 0.5)
    assert (found.route, found.agreement, found.reason) == (route, agreement, reason)
    assert found.self_answer == (text if agreement is not None else None)


@pytest.mark.parametrize(
    ("route", "review", "expected"),
    [
        (SELF, None, (SELF, "B", "")),
        (REFERENCE, None, (REFERENCE, "A", "")),
        (EXPERT, ("edit", "C"), (EXPERT, "C", "edit")),
        (REVIEW, ("accept", "A"), (REVIEW, "A", "accept")),
        (REVIEW, ("reject", None), (REVIEW, None, "reject")),
        (SELF, ("accept", "B"), (AUDIT, "B", "accept")),
        (REFERENCE, ("edit", "B"), (AUDIT, "B", "edit")),
    ],
)
def test_a_decision_adopts_what_its_route_says(route, review, expected):
    row = decision_row(TASK, Signals("A", "B", 0.1, 0.0, route), review, is_simulated=True)
    assert (row.route, row.answer, row.expert_action) == expected
    assert row.audited_route == (route if expected[0] == AUDIT else "")
    assert row.simulated is True


def test_the_question_about_an_image_is_named_alike_in_every_arm_and_round():
    other = make_task("other", 2, SAMPLE, TEMPLATE, "B")
    assert other.key == TASK.key
    assert other.decision_id != TASK.decision_id


def test_other_options_make_another_question():
    assert question_digest("q", {"A": "x", "B": "y"}) == question_digest("q", {"B": "y", "A": "x"})
    assert question_digest("q", {"A": "x", "B": "y"}) != question_digest("q", {"A": "y", "B": "x"})


def summary(decided, unanswered):
    return summarise(decided, unanswered, account={}, stopped={}, policy={}, is_simulated=True)


def test_a_summary_counts_routes_reviews_and_the_error_of_the_audit():
    def rows(n, route, review):
        signals = Signals("A", "A", None, None, route, "a reason" if route == EXPERT else "")
        return [decision_row(TASK, signals, review, is_simulated=True) for _ in range(n)]

    decided = [
        *rows(4, SELF, None), *rows(3, SELF, ("accept", "A")), *rows(1, REFERENCE, ("edit", "B")),
        *rows(2, EXPERT, ("reject", None)),
    ]  # fmt: skip
    found = summary(decided, [build(Unanswered, reason="why")] * 2)
    assert found.routes == {"audit": 4, "expert": 2, "self": 4}
    assert found.expert_actions == {"accept": 3, "edit": 1, "reject": 2}
    assert (found.n_decided, found.n_decisions, found.review_share) == (10, 8, 0.6)
    error = found.residual_error
    assert found.unanswered == {"why": 2}
    assert found.route_reasons == {"a reason": 2}
    assert found.calibration is None
    assert (error.value, error.n, error.n_wrong, error.population, error.n_sources) == (0.25, 4, 1, 4, 1)


def test_images_without_a_question_are_no_questions_without_an_answer():
    whole = [build(Unanswered, question="", reason="it may not leave")] * 3
    found = summary([], [*whole, build(Unanswered, reason="not known")])
    assert found.images_without_question == {"it may not leave": 3}
    assert found.unanswered == {"not known": 1}


def test_a_summary_says_by_route_how_much_was_seen_and_how_much_of_that_was_wrong():
    def row(image, route, action):
        task = make_task("arm", 1, replace(SAMPLE, image_id=f"{image:064x}", source_id=f"s{image}"), TEMPLATE, "A")
        review = (action, "A") if action else None
        return decision_row(task, Signals("A", "A", 0.1, 1.0, route), review, is_simulated=True)

    decided = [row(i, SELF, "accept" if i < 4 else "") for i in range(10)]
    decided += [row(i, REFERENCE, "edit" if i < 1 else "") for i in range(6)]
    decided += [row(i, EXPERT, "edit" if i < 2 else "accept") for i in range(4)]
    found = summary(decided, []).by_route
    assert [(route, one.n, one.share, one.review_share) for route, one in found.items()] == [
        ("expert", 4, 0.2, 1.0),
        ("reference", 6, 0.3, pytest.approx(1 / 6)),
        ("self", 10, 0.5, 0.4),
    ]
    errors = {route: (one.error.value, one.error.n, one.error.population) for route, one in found.items()}
    assert errors == {"expert": (0.5, 4, 0), "reference": (1.0, 1, 5), "self": (0.0, 4, 6)}
    assert found["self"].error.high == pytest.approx(1 - 0.025 ** (1 / 4))


def test_no_decision_has_no_shares():
    found = summary([], [])
    assert found.review_share is None
    assert found.residual_error.value is None
