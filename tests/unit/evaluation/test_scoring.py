import pytest

from services.evaluation.domain.reply_text import MOST_CHARACTERS, plain
from services.evaluation.domain.scoring import official_choice, strict_choice

WHAT = {"A": "Motion ghosts", "B": "Noise", "C": "Metal artifact", "D": "Metal artifact, severe"}
YES_NO = {"A": "Yes", "B": "No"}
HOW = {"A": "Good", "B": "Usable", "C": "Reject"}


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B", "B"),
        ("c", "C"),
        ("B. Noise", "B"),
        ("(D)", "D"),
        ("This is a blurred image, so B", "A"),
        ("A blurred image; answer: C", "A"),
        ("There is a clear problem. The answer is C.", "A"),
        ("I'd say C", "D"),
        ("N/A", "A"),
        ("Yes", None),
        ("No", None),
        ("Motion ghosts", None),
        ("", None),
        ("E", None),
        ("BAD", None),
        ("The image shows noise: B.", "B"),
    ],
)
def test_official_reading_is_the_first_isolated_letter(reply, letter):
    assert official_choice(reply, WHAT) == letter


def test_official_reading_goes_to_e_where_there_is_an_option_e():
    assert official_choice("E", {**WHAT, "E": "bone"}) == "E"


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B", "B"),
        ("c", "C"),
        ("a", "A"),
        (" **B** ", "B"),
        ("(d)", "D"),
        ("B.", "B"),
        ("B) Noise", "B"),
        ("b: noise", "B"),
        ("**B.** Noise", "B"),
        ("B Noise", "B"),
        ("A Motion ghosts.", "A"),
        ("A Noise", None),
        ("Noise", "B"),
        ("noise.", "B"),
        ("Noise, which covers the whole slice.", "B"),
        ("The answer is C.", "C"),
        ("There is a clear problem. The answer is C.", "C"),
        ("the answer is noise", "B"),
        ("Answer: (B)", "B"),
        ("Answer: **B**", "B"),
        ("I choose option D", "D"),
        ("This is a blurred image, so B", "B"),
        ("A blurred image; answer: C", "C"),
        ("This is a CT slice. The answer is C.", "C"),
        ("I'd say C", "C"),
        ("C is the correct answer", "C"),
        ("The best choice is (A) Motion ghosts.", "A"),
        ("Metal artifact", "C"),
        ("Metal artifact, severe", "D"),
        ("The answer is A because of the ghosts", "A"),
        ("I would pick b.", "B"),
        ("B\n\nThe image is noisy.", "B"),
        ("Option A is wrong. B.", "B"),
        ("The image shows noise everywhere", "B"),
        ("C?", "C"),
    ],
)
def test_strict_reading_finds_the_one_option_named(reply, letter):
    assert strict_choice(reply, WHAT) == letter


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "   ",
        "A blurred image.",
        "a blurred image",
        "This is a slice with a streak",
        "N/A",
        "A or B",
        "A and B.",
        "Either B, or C.",
        "B. Metal artifact",
        "E",
        "The answer is E.",
        "I cannot tell.",
        "This B-mode image is unclear",
        "The answer is a matter of taste",
    ],
)
def test_strict_reading_leaves_the_rest_unscored(reply):
    assert strict_choice(reply, WHAT) is None


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("Yes", "A"),
        ("no", "B"),
        ("No.", "B"),
        ("Yes, there is a ghost.", "A"),
        ("The answer is no.", "B"),
        ("A. Yes", "A"),
        ("A. No", None),
        ("Yes and no", None),
        ("Not sure", None),
        ("None", None),
    ],
)
def test_strict_reading_understands_yes_and_no(reply, letter):
    assert strict_choice(reply, YES_NO) == letter


@pytest.mark.parametrize(("reply", "letter"), [("Reject", "C"), ("good", "A"), ("A good image", "A")])
def test_strict_reading_understands_levels(reply, letter):
    assert strict_choice(reply, HOW) == letter


def test_two_options_of_one_text_are_told_apart_by_letter_only():
    options = {"A": "Noise", "B": "noise"}
    assert strict_choice("noise", options) is None
    assert strict_choice("B", options) == "B"


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("I would rule out A and B. The dark voids point to C.", "C"),
        ("At first I thought B, but on closer look it is D.", "D"),
        ("Without doubt C", "C"),
        ("Could be C.", None),
        ("Hmm, hard to say. Could be C.", None),
        ("It is not (B) - Noise.", None),
        ("This rules out option D.", None),
        ("A/(B)", None),
        ("It's not due to noise.", None),
        ("C. difficile", None),
        ("C++", None),
        ("C#", None),
        ("21 °C", None),
        ("vitamin C", None),
        ("grade B", None),
    ],
)
def test_strict_reading_names_no_option_where_the_writer_does_not(reply, letter):
    assert strict_choice(reply, WHAT) == letter


@pytest.mark.parametrize(
    ("reply", "letter"), [("Not at all, no.", "B"), ("Nein", "B"), ("はい。", "A"), ("No image.", None)]
)
def test_strict_reading_understands_yes_and_no_in_other_words(reply, letter):
    assert strict_choice(reply, YES_NO) == letter


def test_a_unit_that_is_an_option_is_that_option():
    assert strict_choice("Type B dissection", {"A": "Type A dissection", "B": "Type B dissection"}) == "B"


@pytest.mark.parametrize(
    "part", ["The image is grainy. ", "B ", "(", "not ", "<b", "the answer is ", '"answer": "', "噪声", "\n"]
)
def test_what_is_read_of_a_reply_does_not_grow_with_it(part):
    read = {len(plain(part * (length // len(part)))) for length in (30_000, 300_000)}
    assert max(read) <= 2 * MOST_CHARACTERS


def test_the_answer_is_found_at_either_end_of_a_reply_of_any_length():
    text = "The image is grainy, and the edges are sharp. " * 5_000
    assert strict_choice(f"The answer is C. {text}", WHAT) == "C"
    assert strict_choice(f"{text} The answer is C.", WHAT) == "C"
    assert strict_choice(f"<think>{text} A or B? {text}</think>C", WHAT) == "C"
