from shared.prompts import multiple_choice_prompt


def test_options_stand_one_a_line_in_the_order_of_their_letters():
    prompt = multiple_choice_prompt(" Is it sharp? ", {"B": "No", "A": "Yes"})
    assert prompt.splitlines() == ["Is it sharp?", "A. Yes", "B. No", "Reply with the letter only."]
