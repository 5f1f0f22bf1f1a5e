from services.evaluation.domain.failure_text import failure_text


def test_the_most_frequent_wrong_answer_closes_the_text():
    assert failure_text("Which?", {"A": "Blur", "B": "Noise"}, ["B", "A", "B"]) == "Which?\nBlur, Noise\nNoise"


def test_ties_go_to_the_first_letter():
    assert failure_text("Which?", {"A": "Blur", "B": "Noise"}, ["B", "A"]).endswith("\nBlur")


def test_a_letter_that_is_no_option_stands_for_itself():
    assert failure_text("Which?", {"A": "Blur", "B": "Noise"}, ["D"]).endswith("\nD")
