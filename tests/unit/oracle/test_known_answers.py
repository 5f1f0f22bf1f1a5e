from __future__ import annotations

import pytest
from scipy import stats

from services.oracle.adapters.simulated_expert import FROM_SCRATCH_SECONDS, REVIEW_SECONDS, SimulatedExpert
from services.oracle.adapters.simulated_oracle import SimulatedOracle
from services.oracle.domain.known_answers import KnownAnswers, erring_letter
from shared.rows.annotation import KnownAnswer, Question
from tests.support.rows import build

IMAGE = "0" * 64
OPTIONS = {"A": "Noise", "B": "Blur", "C": "Nothing"}


def known_answers(question, *texts):
    rows = [build(KnownAnswer, image_id=IMAGE, question=question, answer_text=text) for text in texts]
    return KnownAnswers(rows)


KNOWN = known_answers("What is wrong?", "Blur")


def question(options=OPTIONS, text="What is wrong?", key="k"):
    return build(Question, question_id=key, image_uri=f"sha256:{IMAGE}", question=text, options=options)


def test_the_letter_follows_the_text_when_options_are_shuffled():
    assert KNOWN.letter(IMAGE, "What is wrong?", OPTIONS) == "B"
    assert KNOWN.letter(IMAGE, "what  is WRONG?", {"A": "blur ", "B": "Noise"}) == "A"


def test_an_unknown_image_question_or_option_has_no_letter():
    assert KNOWN.letter("1" * 64, "What is wrong?", OPTIONS) is None
    assert KNOWN.letter(IMAGE, "Another?", OPTIONS) is None
    assert KNOWN.letter(IMAGE, "What is wrong?", {"A": "Noise", "B": "Nothing"}) is None


def test_two_right_options_name_none():
    known = known_answers("q", "Noise", "Blur")
    assert known.letter(IMAGE, "q", OPTIONS) is None


@pytest.mark.parametrize("accuracy", [0.0, 0.3, 0.65, 1.0])
def test_errors_come_at_the_set_rate_and_spread_over_the_wrong_options(accuracy):
    n = 2000
    letters = [erring_letter("B", OPTIONS, accuracy, "who", 0, i) for i in range(n)]
    assert stats.binomtest(letters.count("B"), n, accuracy).pvalue > 1e-4
    if accuracy < 1:
        wrong = [letter for letter in letters if letter != "B"]
        assert stats.binomtest(wrong.count("A"), len(wrong), 0.5).pvalue > 1e-4


def test_a_repeated_call_gives_the_same_answer_and_another_seed_another():
    def answers(seed):
        oracle = SimulatedOracle(KNOWN, 0.5, seed)
        return [oracle.answer(question(key=str(i))) for i in range(50)]

    assert answers(1) == answers(1)
    assert answers(1) != answers(2)


def test_oracle_and_expert_err_independently():
    n = 2000
    oracle, expert = SimulatedOracle(KNOWN, 0.5, 0), SimulatedExpert(KNOWN, 0.5, 0)
    both = sum(
        oracle.answer(question(key=str(i))).letter == expert.review(question(key=str(i)), "A").letter == "B"
        for i in range(n)
    )
    assert stats.binomtest(both, n, 0.25).pvalue > 1e-4


def test_the_oracle_costs_what_it_estimates_and_nothing_where_it_does_not_know():
    oracle = SimulatedOracle(KNOWN, 1.0, 0)
    known, unknown = oracle.answer(question()), oracle.answer(question(text="Another?"))
    assert known.spending == oracle.estimate(question())
    # 255 image tokens, 40 characters of text in ten tokens, at 2.50 dollars a million; one token out at 10
    assert known.spending.usd == pytest.approx((265 * 2.5 + 10) / 1e6)
    assert unknown.letter is None
    assert unknown.spending.usd == 0


def test_the_expert_accepts_what_is_right_and_edits_what_is_wrong():
    expert = SimulatedExpert(KNOWN, 1.0, 0)
    accepted, edited = expert.review(question(), "B"), expert.review(question(), "A")
    assert (accepted.action, accepted.letter) == ("accept", "B")
    assert (edited.action, edited.letter) == ("edit", "B")


def test_the_expert_rejects_a_known_question_without_a_right_option_and_does_not_judge_an_unknown_one():
    expert = SimulatedExpert(KNOWN, 1.0, 0)
    assert expert.review(question({"A": "Noise", "B": "Nothing"}), "A").action == "reject"
    unknown = expert.review(question(text="Another?"), "A")
    assert (unknown.action, unknown.letter, unknown.spending.expert_seconds) == ("", None, 0)


def test_a_review_takes_half_a_minute_and_an_annotation_from_scratch_five_point_one():
    expert = SimulatedExpert(KNOWN, 1.0, 0)
    assert expert.review(question(), "A").spending.expert_seconds == REVIEW_SECONDS == 0.5 * 60
    assert expert.review(question(), None).spending.expert_seconds == FROM_SCRATCH_SECONDS == 5.1 * 60


def test_a_simulated_call_takes_its_time_once_and_an_estimate_none():
    waits: list[None] = []
    slow = {"accuracy": 1.0, "seed": 0, "take_time": lambda: waits.append(None)}
    oracle, expert = SimulatedOracle(KNOWN, **slow), SimulatedExpert(KNOWN, **slow)
    oracle.estimate(question())
    expert.estimate("B")
    assert not waits
    assert oracle.answer(question()) == SimulatedOracle(KNOWN, 1.0, 0).answer(question())
    assert expert.review(question(), "B") == SimulatedExpert(KNOWN, 1.0, 0).review(question(), "B")
    assert len(waits) == 2
