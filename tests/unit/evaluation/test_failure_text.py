from services.evaluation.domain.failure_text import described_text, failure_text


def test_the_most_frequent_wrong_answer_closes_the_text():
    assert failure_text("Which?", {"A": "Blur", "B": "Noise"}, ["B", "A", "B"]) == "Which?\nBlur, Noise\nNoise"


def test_ties_go_to_the_first_letter():
    assert failure_text("Which?", {"A": "Blur", "B": "Noise"}, ["B", "A"]).endswith("\nBlur")


def test_a_letter_that_is_no_option_stands_for_itself():
    assert failure_text("Which?", {"A": "Blur", "B": "Noise"}, ["D"]).endswith("\nD")


def test_a_failure_without_a_readable_reply_says_so():
    assert failure_text("Which?", {"A": "Blur", "B": "Noise"}, [None, None]) == "Which?\nBlur, Noise\nno option"


def test_what_happened_most_often_closes_the_text_and_a_letter_before_silence():
    assert failure_text("Which?", {"A": "Blur", "B": "Noise"}, [None, "B", None]).endswith("\nno option")
    assert failure_text("Which?", {"A": "Blur", "B": "Noise"}, [None, "B"]).endswith("\nNoise")


def test_a_failed_description_shows_the_reference_and_the_worst_reply():
    assert described_text("Describe it.", "Noisy.", [(4, "Sharp."), (2, "Clear."), (2, "Clean.")]) == (
        "Describe it.\nNoisy.\nClear."
    )


def test_a_model_that_describes_nothing_says_so():
    assert described_text("Describe it.", "Noisy.", [(0, "")]).endswith("\nno description")
