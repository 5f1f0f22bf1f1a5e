import pytest

from services.evaluation.domain.answer_tokens import answer_span, answer_tokens, logprobs_fault, token_ends
from services.evaluation.domain.scoring import strict_choice
from services.evaluation.ports import Generation
from services.evaluation.work.generations import generation_row

OPTIONS = {"A": "Noise", "B": "Motion blur", "C": "None"}


@pytest.mark.parametrize(
    "marked",
    [
        "«B»",
        "«B».",
        "(«B»)",
        "«b»",
        "«B». Motion blur",
        "The answer is «B», since option B is blurred.",
        "«Motion  blur»",
        "This image shows «motion blur».",
        "It is not A. It is «B».",
        "A. No wait, «B».",
        "B. No wait, A. Sorry, «B».",
        "«B» is right. A is wrong.",
        "<think>Maybe A, maybe B.</think>«B»",
        "The answer is \\boxed{«B»}",
        '{"answer": "«B»"}',
    ],
)
def test_the_span_is_the_mention_at_which_the_reply_becomes_its_choice(marked):
    text = marked.replace("«", "").replace("»", "")
    assert strict_choice(text, OPTIONS) == "B"
    start = marked.index("«")
    assert answer_span(text, OPTIONS, "B") == (start, marked.index("»") - 1)


def test_a_reply_without_a_choice_has_no_span():
    assert answer_span("Both A and B.", OPTIONS, None) is None


def test_the_end_token_and_what_stands_beside_the_letter_do_not_count():
    ends = token_ends(
        ["The", "The answer", "The answer:", "The answer: B", "The answer: B.", "The answer: B.<end>"], "The answer: B."
    )
    assert answer_tokens(ends, answer_span("The answer: B.", OPTIONS, "B")) == [3]


def test_a_text_in_several_tokens_counts_with_all_of_them_and_a_reply_without_a_span_but_for_its_end():
    ends = token_ends([" Mot", " Motion", " Motion blur", " Motion blur"], "Motion blur")
    assert answer_tokens(ends, (0, 11)) == [0, 1, 2]
    assert answer_tokens(ends, None) == [0, 1, 2]
    assert answer_tokens(token_ends([""], ""), None) == []


def test_halves_of_a_character_end_with_it():
    assert token_ends(["模\ufffd\ufffd", "模\ufffd", "模糊"], "模糊") == (2, 2, 2)
    assert token_ends(["something", "something else"], "else, spelt otherwise") == ()
    assert token_ends([], "") == ()


@pytest.mark.parametrize(
    ("logprobs", "fault"),
    [
        ((-0.1, 0.0), ""),
        ((-0.1, 5e-5), ""),
        ((), "the model gave no log-probability"),
        ((-0.1, float("nan")), "a log-probability is no finite number"),
        ((float("-inf"),), "a log-probability is no finite number"),
        ((-0.1, 0.5), "a log-probability is above 0"),
    ],
)
def test_a_log_probability_that_is_none_is_named(logprobs, fault):
    assert logprobs_fault(logprobs) == fault


def test_the_row_of_a_reply_has_the_log_probabilities_of_its_letter():
    row = generation_row("q", OPTIONS, Generation("B.", (-0.7, -0.1, 0.0), 3, (1, 2, 2)), "B")
    assert (row.choice, row.token_logprobs, row.answer_logprobs) == ("B", (-0.7, -0.1, 0.0), (-0.7,))
    assert row.logprobs_fault == ""


def test_where_ends_are_not_known_every_token_counts():
    row = generation_row("q", OPTIONS, Generation("B.", (-0.7, -0.1, 0.0), 3), "B")
    assert row.answer_logprobs == (-0.7, -0.1, 0.0)


@pytest.mark.parametrize(
    "reply",
    [Generation("B.", (-0.7, float("nan")), 2, (1, 2)), Generation("B.", (), 2), Generation("", (-0.1,), 1, (0,))],
)
def test_a_reply_of_which_no_entropy_can_be_had_keeps_its_choice_and_says_why(reply):
    choice = "B" if reply.text else None
    row = generation_row("q", OPTIONS, reply, choice)
    assert row.choice == choice
    assert row.token_logprobs == row.answer_logprobs == ()
    assert row.logprobs_fault
