from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.training.domain.conversations import sample_of
from services.training.domain.samples import TrainingSample, conversation, draw_replay, in_training_order, n_to_replay
from services.training.domain.sieve import Sieve
from shared.prompts import DESCRIPTION_QUESTION, multiple_choice_prompt
from shared.rows.training import Lineage
from tests.support.rows import build

OPTIONS = {"B": "Blur", "A": "Noise"}


def sample(sample_id="d", question="What is wrong?", options=OPTIONS, answer="B"):
    lineage = build(Lineage, id=sample_id, image_id="0" * 64)
    return TrainingSample(lineage, question, options, answer)


def test_the_trainer_reads_back_the_question_as_evaluation_asks_it():
    read = sample_of(conversation(sample()))
    assert read.question == multiple_choice_prompt("What is wrong?", OPTIONS)
    assert (read.sample_id, read.answer, read.image) == ("d", "B", f"images/{'0' * 64}.png")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"answer": "C"}, "the answer is no option"),
        ({"answer": None}, "the answer is no option"),
        ({"question": "Is <image> blurred?"}, "the text holds <image>"),
        ({"options": {"A": "x", "B": "<image>"}}, "the text holds <image>"),
    ],
)
def test_a_sample_that_the_trainer_would_refuse_has_a_defect(changes, reason):
    assert sample(**changes).defect == reason


@given(st.integers(0, 30), st.integers(0, 60), st.integers(0, 2**63))
def test_replay_is_drawn_without_repetition_and_a_larger_draw_holds_a_smaller_one(n_items, size, seed):
    items = [sample(str(i)) for i in range(n_items)]
    drawn = draw_replay(items, size, seed)
    assert len({one.sample_id for one in drawn}) == len(drawn) == min(n_items, size)
    assert drawn == draw_replay(items[::-1], size, seed)
    assert drawn == draw_replay(items, size + 1, seed)[:size]


@given(st.integers(0, 30), st.floats(0, 4))
def test_what_is_to_be_replayed_is_the_rounded_share_of_what_is_new(n_new, ratio):
    assert n_to_replay(n_new, ratio, 0) == int(ratio * n_new + 0.5)


@pytest.mark.parametrize(("n_new", "expected"), [(0, 64), (16, 48), (64, 0), (80, 0)])
def test_replay_fills_up_what_new_samples_leave_of_the_total(n_new, expected):
    assert n_to_replay(n_new, 4.0, 64) == expected


def test_the_order_depends_on_ids_and_seed_alone():
    samples = [sample(str(i)) for i in range(20)]
    assert in_training_order(samples, 1) == in_training_order(samples[::-1], 1)
    assert in_training_order(samples, 1) != in_training_order(samples, 2)
    assert sorted(s.sample_id for s in in_training_order(samples, 1)) == sorted(s.sample_id for s in samples)


DESCRIBED = "Strong noise hides the edges. Overall, the quality of this image is reject."


def test_a_description_is_learned_as_evaluation_asks_for_it():
    read = sample_of(conversation(sample(options={}, question=DESCRIPTION_QUESTION, answer=f" {DESCRIBED}\n")))
    assert (read.question, read.answer) == (DESCRIPTION_QUESTION, DESCRIBED)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (DESCRIBED, ""),
        (None, "there is no description"),
        (" \n", "there is no description"),
        ("Sharp <image>.", "the text holds <image>"),
        ("x" * 10_001, "the description is too long"),
    ],
)
def test_a_description_that_cannot_be_learned_has_a_defect(answer, reason):
    assert sample(options={}, answer=answer).defect == reason


def repeats(*samples, threshold=0.8):
    """The ids of what is left out of samples about one picture."""
    sieve = Sieve(samples)
    sieve.drop_repeats([], {"0" * 64: "0f" * 8}, 2, threshold)
    return [row.id for row in sieve.dropped]


def described(name, text):
    return sample(name, question=DESCRIPTION_QUESTION, options={}, answer=text)


def test_nearly_the_same_words_about_one_picture_are_one_description():
    nearly = DESCRIBED.replace("Strong noise", "Strong grain")
    assert repeats(described("a", DESCRIBED), described("b", nearly)) == ["b"]
    assert repeats(described("a", DESCRIBED), described("b", nearly), threshold=1.0) == []


def test_descriptions_that_close_with_another_level_say_something_else():
    assert repeats(described("a", DESCRIBED), described("b", DESCRIBED.replace("reject", "usable"))) == []


def test_a_description_never_repeats_a_question():
    question = sample("b", question=DESCRIPTION_QUESTION, options={"A": DESCRIBED, "B": "Sharp."}, answer="A")
    assert repeats(described("a", DESCRIBED), question) == []
