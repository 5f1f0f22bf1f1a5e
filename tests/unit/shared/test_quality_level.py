import pytest

from shared.quality_level import closing_level, closing_phrase
from shared.rows.vocabulary import QUALITY_LADDER


@pytest.mark.parametrize("level", QUALITY_LADDER)
def test_a_closing_phrase_is_read_as_its_level(level):
    assert closing_level(f"Knee MRI with motion ghosts. {closing_phrase(level)}") == level


def test_case_and_marks_around_the_level_do_not_matter():
    assert closing_level("Overall, the quality of this image is [Good].") == "good"
    assert closing_level("OVERALL, THE QUALITY OF THE IMAGE IS:\n**REJECT**") == "reject"


def test_the_last_level_that_is_named_counts():
    text = "Some say the quality of the image is good; overall the quality of this image is reject"
    assert closing_level(text) == "reject"


@pytest.mark.parametrize(
    "text",
    ["", "A good image.", "Overall, the quality of this image is not good.", "The quality of this image is goodish."],
)
def test_a_text_without_the_phrase_has_no_level(text):
    assert closing_level(text) == ""
