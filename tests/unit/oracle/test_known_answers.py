from __future__ import annotations

from dataclasses import replace as replace_task

import pytest
from msgspec.structs import replace
from scipy import stats

from services.oracle.adapters.simulated_expert import SimulatedExpert
from services.oracle.adapters.simulated_oracle import SimulatedOracle
from services.oracle.domain.known_answers import KnownAnswers, erring_answer
from services.oracle.domain.known_questions import KnownQuestions
from services.oracle.domain.questions import Asking
from services.oracle.domain.review import FROM_SCRATCH_SECONDS, REVIEW_SECONDS
from shared.rows.annotation import KnownAnswer, Question
from shared.rows.benchmark import Item
from shared.rows.selection import Sample
from tests.support.reviews import review_task
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
    assert KNOWN.right(IMAGE, "What is wrong?", OPTIONS) == "B"
    assert KNOWN.right(IMAGE, "what  is WRONG?", {"A": "blur ", "B": "Noise"}) == "A"


def test_an_unknown_image_question_or_option_has_no_letter():
    assert KNOWN.right("1" * 64, "What is wrong?", OPTIONS) is None
    assert KNOWN.right(IMAGE, "Another?", OPTIONS) is None
    assert KNOWN.right(IMAGE, "What is wrong?", {"A": "Noise", "B": "Nothing"}) is None


def test_two_right_options_name_none():
    known = known_answers("q", "Noise", "Blur")
    assert known.right(IMAGE, "q", OPTIONS) is None


@pytest.mark.parametrize("accuracy", [0.0, 0.3, 0.65, 1.0])
def test_errors_come_at_the_set_rate_and_spread_over_the_wrong_options(accuracy):
    n = 2000
    letters = [erring_answer("B", ["A", "C"], accuracy, "who", 0, i) for i in range(n)]
    assert stats.binomtest(letters.count("B"), n, accuracy).pvalue > 1e-4
    if accuracy < 1:
        wrong = [letter for letter in letters if letter != "B"]
        assert stats.binomtest(wrong.count("A"), len(wrong), 0.5).pvalue > 1e-4


def asked_about(n_images, text="What is wrong?", options=OPTIONS, known_text="Blur"):
    """Samples, and the known answer to one question about each."""
    rows = [
        build(KnownAnswer, image_id=f"{i:064x}", question=text, options=options, answer_text=known_text)
        for i in range(n_images)
    ]
    samples = [
        build(Sample, sample_id=f"s{i}", image_id=f"{i:064x}", image_uri=f"sha256:{i:064x}") for i in range(n_images)
    ]
    return rows, samples


def simulated(rows, accuracy=1.0, seed=0, **changes):
    return SimulatedOracle(KnownQuestions(rows, []), KnownAnswers(rows), Asking(3, False, seed), accuracy, **changes)


def review(expert, asked, proposal):
    return expert.review(replace_task(review_task(proposal=proposal), question=asked))


def propose(oracle, sample):
    return oracle.prepare(sample).make()


def letters(oracle, samples):
    return [propose(oracle, sample).proposals[0].answer for sample in samples]


def test_a_repeated_call_gives_the_same_answer_and_another_seed_another():
    rows, samples = asked_about(50)
    assert letters(simulated(rows, 0.5, 1), samples) == letters(simulated(rows, 0.5, 1), samples)
    assert letters(simulated(rows, 0.5, 1), samples) != letters(simulated(rows, 0.5, 2), samples)


def test_oracle_and_expert_err_independently():
    n = 2000
    rows, samples = asked_about(n)
    oracle, expert = simulated(rows, 0.5), SimulatedExpert(KnownAnswers(rows), 0.5, 0)
    own = letters(oracle, samples)
    reviewed = [
        review(expert, replace(question(key=str(i)), image_uri=sample.image_uri), "A").answer
        for i, sample in enumerate(samples)
    ]
    both = sum(first == second == "B" for first, second in zip(own, reviewed, strict=True))
    assert stats.binomtest(both, n, 0.25).pvalue > 1e-4


def test_the_oracle_costs_what_it_estimates_and_nothing_where_it_does_not_know():
    rows, (sample,) = asked_about(1)
    oracle = simulated(rows)
    known = propose(oracle, sample)
    assert known.spending == oracle.prepare(sample).estimate
    # 255 image tokens, 40 characters of text in ten tokens, at 2.50 dollars a million; one token out at 10
    assert known.spending.usd == pytest.approx((265 * 2.5 + 10) / 1e6)
    stranger = replace(sample, image_id="f" * 64)
    unknown = propose(oracle, stranger)
    assert (unknown.proposals, unknown.spending.usd) == ((), 0)


def test_a_question_of_dev_whose_answer_is_not_known_is_proposed_without_an_answer():
    dev = [build(Item, question="Is it sharp?", options={"A": "Yes", "B": "No"}, modality="ct")]
    oracle = SimulatedOracle(KnownQuestions([], dev), KnownAnswers([]), Asking(3, False, 0), 1.0)
    found = propose(oracle, build(Sample, modality="ct"))
    assert [one.answer for one in found.proposals] == [None]
    assert found.spending.usd == 0


GOOD, BAD = (f"Knee MRI. Overall, the quality of this image is {level}." for level in ("good", "reject"))


def test_a_known_description_is_proposed_beside_the_questions_and_who_errs_takes_one_of_another_level():
    texts = {"describe": {f"{i:064x}": GOOD if i % 2 else BAD for i in range(40)}}
    rows, samples = asked_about(40)
    rows += [
        build(KnownAnswer, image_id=image, question="Describe it.", options={}, answer=text, answer_text=text,
              question_type="description")
        for image, text in texts["describe"].items()
    ]  # fmt: skip
    right = [propose(simulated(rows), sample).proposals for sample in samples]
    assert [len(one) for one in right] == [2] * 40
    assert [one[-1].answer for one in right] == list(texts["describe"].values())
    wrong = [propose(simulated(rows, 0.0), sample).proposals[-1].answer for sample in samples]
    assert all({one[-1].answer, other} == {GOOD, BAD} for one, other in zip(right, wrong, strict=True))


def test_the_expert_accepts_a_description_of_the_right_level_and_else_gives_the_known_one():
    known = KnownAnswers([build(KnownAnswer, image_id=IMAGE, question="Describe it.", options={}, answer_text=GOOD)])
    expert = SimulatedExpert(known, 1.0, 0)
    asked = question({}, "Describe it.")
    other = "A knee. Overall, the quality of this image is good."
    assert (review(expert, asked, other).action, review(expert, asked, other).answer) == ("accept", other)
    assert (review(expert, asked, BAD).action, review(expert, asked, BAD).answer) == ("edit", GOOD)
    assert review(expert, asked, None).action == "edit"


def test_the_expert_accepts_what_is_right_and_edits_what_is_wrong():
    expert = SimulatedExpert(KNOWN, 1.0, 0)
    accepted, edited = review(expert, question(), "B"), review(expert, question(), "A")
    assert (accepted.action, accepted.answer) == ("accept", "B")
    assert (edited.action, edited.answer) == ("edit", "B")


def test_the_expert_rejects_a_known_question_without_a_right_option_and_does_not_judge_an_unknown_one():
    expert = SimulatedExpert(KNOWN, 1.0, 0)
    assert review(expert, question({"A": "Noise", "B": "Nothing"}), "A").action == "reject"
    unknown = review(expert, question(text="Another?"), "A")
    assert (unknown.action, unknown.answer, unknown.spending.expert_seconds) == ("", None, 0)


def test_a_review_takes_half_a_minute_and_an_annotation_from_scratch_five_point_one():
    expert = SimulatedExpert(KNOWN, 1.0, 0)
    assert review(expert, question(), "A").spending.expert_seconds == REVIEW_SECONDS == 0.5 * 60
    assert review(expert, question(), None).spending.expert_seconds == FROM_SCRATCH_SECONDS == 5.1 * 60


def test_a_simulated_call_takes_its_time_once_and_its_preparation_none():
    waits: list[None] = []
    rows, (sample,) = asked_about(1)
    oracle = simulated(rows, take_time=lambda: waits.append(None))
    expert = SimulatedExpert(KNOWN, 1.0, 0, take_time=lambda: waits.append(None))
    oracle.prepare(sample)
    assert not waits
    assert propose(oracle, sample) == propose(simulated(rows), sample)
    assert review(expert, question(), "B") == review(SimulatedExpert(KNOWN, 1.0, 0), question(), "B")
    assert len(waits) == 2
