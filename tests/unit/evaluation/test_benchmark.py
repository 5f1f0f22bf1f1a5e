import pytest
from msgspec.structs import replace

from services.evaluation.domain.benchmark import (
    answer_letters,
    compares_two_images,
    item_of,
    options_of,
    question_type_of,
)
from shared.prompts import DESCRIPTION_QUESTION
from shared.rows.benchmark import Item, Rejection
from shared.rows.images import Image
from tests.support.rows import build

IMAGE = build(Image, modality="mri", source_id="patient-1")
ROW = {"index": "7", "question": "Is it sharp?", "A": "Yes", "B": "No", "answer": "B", "modality": "CT"}


def test_a_plain_row_is_an_item_with_the_labels_of_its_image():
    item = item_of(ROW, IMAGE, "dev")
    assert isinstance(item, Item)
    assert (item.item_id, item.answer, item.modality, item.source_id) == ("7", "B", "mri", "patient-1")
    assert (item.question_type, item.severity, item.split) == ("yes_no", "", "dev")


def test_a_row_tells_the_modality_where_the_image_set_does_not_and_never_the_source():
    row = {**ROW, "source_id": "Doe", "modality": "MR"}
    item = item_of(row, replace(IMAGE, modality="unknown"), "dev")
    assert isinstance(item, Item)
    assert (item.modality, item.source_id) == ("mri", "patient-1")


def test_a_modality_that_nobody_tells_is_unknown():
    item = item_of({**ROW, "modality": ""}, build(Image, modality="unknown"), "dev")
    assert isinstance(item, Item)
    assert item.modality == "unknown"


def test_empty_and_nan_options_are_absent_and_none_is_an_option():
    row = {"A": "None", "B": " ", "C": "NaN", "D": "N/A"}
    assert options_of(row) == {"A": "None", "D": "N/A"}


@pytest.mark.parametrize(
    ("answer", "letters"),
    [
        ("B", {"B"}),
        ("b", {"B"}),
        ("1", {"B"}),
        ("1.0", {"B"}),
        ("severe noise", {"B"}),
        ("C", set()),
        ("2", set()),
        ("", set()),
        ("noise", set()),
    ],
)
def test_an_answer_is_a_letter_a_number_or_an_exact_text(answer, letters):
    assert answer_letters(answer, {"A": "Mild noise", "B": "Severe noise"}) == letters


def test_a_number_that_is_also_another_options_text_is_refused():
    row = {**ROW, "A": "1", "B": "2", "answer": "1"}
    refused = item_of(row, IMAGE, "dev")
    assert isinstance(refused, Rejection)
    assert "more than one" in refused.reason


@pytest.mark.parametrize("change", [{"question": " "}, {"B": ""}, {"answer": "D"}, {"answer": "nan"}])
def test_a_row_that_is_no_item_has_a_reason_and_a_remedy(change):
    refused = item_of({**ROW, **change}, IMAGE, "dev")
    assert isinstance(refused, Rejection)
    assert refused.name == "7"
    assert refused.reason
    assert refused.remedy


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"A": "yes ", "B": "Yes", "answer": "B"}, "alike"),
        ({"question": "x" * 1_000_000}, "too long"),
        ({"B": "x" * 1_000_000}, "too long"),
        ({"modality": "histopatology"}, "misspelt"),
    ],
)
def test_a_row_that_would_mislead_or_burden_the_model_is_refused_and_not_quoted(change, reason):
    refused = item_of({**ROW, **change}, IMAGE, "dev")
    assert isinstance(refused, Rejection)
    assert reason in refused.reason
    assert len(refused.reason + refused.remedy) < 100


def test_a_misspelt_modality_comes_with_the_right_one():
    refused = item_of({**ROW, "modality": "Fundos"}, IMAGE, "dev")
    assert isinstance(refused, Rejection)
    assert refused.remedy == "write fundus"


@pytest.mark.parametrize("modality", ["OCT", "fMRI", "PET-CT", "ultrasound", "MR", "Histology"])
def test_a_modality_of_its_own_is_no_misspelling(modality):
    assert isinstance(item_of({**ROW, "modality": modality}, IMAGE, "dev"), Item)


def test_the_columns_of_published_tables_fill_attribute_and_severity():
    row = {**ROW, "degradation_type": "Motion artefact", "degradation_severity": "Mild"}
    item = item_of(row, IMAGE, "dev")
    assert isinstance(item, Item)
    assert (item.attribute, item.severity) == ("motion_artefact", "mild")
    ours = item_of({**row, "attribute": "noise"}, IMAGE, "dev")
    assert isinstance(ours, Item)
    assert ours.attribute == "noise"


def test_labels_become_one_spelling():
    row = {**ROW, "severity": "No degradation", "scope": "Modality-specific", "question_type": "Yes-or-No"}
    item = item_of(row, IMAGE, "dev")
    assert isinstance(item, Item)
    assert (item.severity, item.scope, item.question_type) == ("none", "modality_specific", "yes_no")


@pytest.mark.parametrize(
    ("said", "severity"),
    [("L0", "none"), ("L1", "mild"), ("L2", "severe"), ("mild degradation", "mild"), ("Severe", "severe")],
)
def test_published_severities_become_ours(said, severity):
    item = item_of({**ROW, "degradation_severity": said}, IMAGE, "dev")
    assert isinstance(item, Item)
    assert item.severity == severity


@pytest.mark.parametrize(
    ("declared", "question", "texts", "expected"),
    [
        ("what", "Is it?", ["Yes", "No"], "what"),
        ("", "Is it?", ["Yes", "No"], "yes_no"),
        ("", "The overall quality?", ["Reject", "Good", "Usable"], "how"),
        ("", "How strong is the noise?", ["Mild", "Severe"], "how"),
        ("", "However it looks, what is wrong?", ["Blur", "Noise"], "what"),
        ("reasoning", "Which artefact?", ["Blur", "Noise"], "what"),
    ],
)
def test_question_type_is_declared_or_follows_from_the_text(declared, question, texts, expected):
    assert question_type_of(declared, question, dict(zip("ABC", texts, strict=False))) == expected


REFERENCE = "Strong noise hides fine detail. Overall, the quality of this image is reject."
DESCRIBED = {"index": "5", "description": REFERENCE, "modality": "MRI"}


def test_a_text_without_options_is_the_reference_of_a_description():
    item = item_of(DESCRIBED, IMAGE, "test")
    assert isinstance(item, Item)
    assert (item.options, item.answer, item.question_type) == ({}, REFERENCE, "description")
    assert item.question == DESCRIPTION_QUESTION


def test_the_question_of_the_table_goes_before_the_default():
    item = item_of({**DESCRIBED, "question": "Describe it."}, IMAGE, "dev")
    assert isinstance(item, Item)
    assert item.question == "Describe it."


def test_the_default_question_asks_for_the_closing_phrase_with_one_of_the_three_levels():
    assert DESCRIPTION_QUESTION.endswith("Overall, the quality of this image is good/usable/reject.")


@pytest.mark.parametrize("question_type", ["description", "Description", "caption"])
def test_a_declared_description_may_have_its_reference_in_the_column_of_answers(question_type):
    row = {"index": "5", "answer": REFERENCE, "question_type": question_type}
    item = item_of(row, IMAGE, "dev")
    assert isinstance(item, Item)
    assert item.answer == REFERENCE


def test_a_question_stays_one_where_the_table_has_a_column_for_descriptions():
    item = item_of({**ROW, "description": "Some words about the image."}, IMAGE, "dev")
    assert isinstance(item, Item)
    assert (item.question_type, item.answer) == ("yes_no", "B")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"index": "5", "question_type": "description"}, "the reference description is empty"),
        ({**ROW, "question_type": "description", "description": REFERENCE}, "a description has options"),
        ({**DESCRIBED, "description": "x" * 10_001}, "a text is too long"),
        ({**DESCRIBED, "question_type": "what"}, "the question is empty"),
    ],
)
def test_a_description_that_cannot_be_judged_is_refused(row, reason):
    refused = item_of(row, IMAGE, "dev")
    assert isinstance(refused, Rejection)
    assert refused.reason == reason


@pytest.mark.parametrize(
    "row",
    [
        {"image_a": "..."},
        {"image_b": "..."},
        {"image_path": "['a.png', 'b.png']"},
        {"question_type": "comparison"},
        {"question_type": "Paired description"},
    ],
)
def test_a_row_about_two_images_is_a_comparison(row):
    assert compares_two_images({**DESCRIBED, **row})


@pytest.mark.parametrize("row", [{"image_a": " "}, {"image_path": "[1].png"}, {}])
def test_a_row_about_one_image_is_none(row):
    assert not compares_two_images({**DESCRIBED, **row})


def test_a_table_may_name_slices_that_reports_break_figures_down_by():
    item = item_of({**ROW, "slice": "Left-out"}, IMAGE, "test")
    assert isinstance(item, Item)
    assert item.slice == "left_out"
    assert item_of(ROW, IMAGE, "test").slice == ""
