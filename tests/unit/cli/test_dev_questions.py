"""What is asked of an image of a development set, and what a filled row becomes."""

from __future__ import annotations

import pytest

from cli.dev_questions import DEV_COLUMNS, BadRow, Cells, dev_row, template_rows
from medq.oracle.v1.oracle_pb2 import BankAttribute, BankModality, GetQuestionBankResponse, QuestionForms

_WORDS = ("noise", "low dose", "metal", "rings", "motion")
BANK = GetQuestionBankResponse(
    version=1,
    forms=QuestionForms(
        yes_no="Does it show {attribute}?", what="Which?", how_level="How good?", description="Describe."
    ),
    modalities=[
        BankModality(
            modality=name, attributes=[BankAttribute(name=word, words=word, scope="general") for word in words]
        )
        for name, words in (("ct", _WORDS), ("unknown", ("blur", "noise")))
    ],
)
IMAGE = {"image_path": "images/a.png", "modality": "ct", "source_id": "s1", "patient_id": "p1"}


def asked(**image: str) -> dict[str, Cells]:
    return {row["question_type"]: row for row in template_rows({**IMAGE, **image}, 7, BANK, seed=0)}


def filled(kind: str, **cells: str) -> Cells:
    return {**asked()[kind], **cells}


def test_an_image_is_asked_about_in_all_four_types_and_no_answer_is_given():
    rows = asked()
    assert list(rows) == ["yes_no", "what", "how", "description"]
    assert all(row["answer"] == row["description"] == row["reject"] == "" for row in rows.values())
    assert rows["what"]["choices"] == " | ".join((*_WORDS, "None"))
    assert {row["index"] for row in rows.values()} == {f"0007-{kind}" for kind in rows}
    assert rows["yes_no"]["question"] == f"Does it show {rows['yes_no']['attribute'].replace('_', ' ')}?"


def test_an_image_of_no_known_modality_is_asked_about_what_any_image_may_have():
    assert asked(modality="")["what"]["choices"] == "blur | noise | None"


def test_a_filled_row_is_a_row_of_medq_bench():
    row = dev_row(filled("yes_no", answer="no"), seed=0)
    assert not isinstance(row, BadRow)
    assert set(row) == set(DEV_COLUMNS)
    assert (row["A"], row["B"], row["answer"], row["severity"]) == ("Yes", "No", "B", "none")
    assert (row["source_id"], row["patient_id"], row["C"]) == ("s1", "p1", "")


def test_the_right_degradation_stands_among_three_others_with_none_one_of_them():
    letters = set()
    for seed in range(20):
        row = dev_row(filled("what", answer="Low Dose"), seed)
        assert not isinstance(row, BadRow)
        options = [row[letter] for letter in "ABCD"]
        assert row[row["answer"]] == "low dose"
        assert "None" in options
        assert len(set(options)) == 4
        assert (row["attribute"], row["E"]) == ("low_dose", "")
        letters.add(row["answer"])
    assert letters == set("ABCD")


def test_an_image_without_a_degradation_has_no_attribute():
    row = dev_row(filled("what", answer="None"), seed=0)
    assert not isinstance(row, BadRow)
    assert (row["attribute"], row["severity"], row[row["answer"]]) == ("", "none", "None")


def test_a_description_is_the_reference():
    text = "A CT with rings. Overall, the quality of this image is usable."
    row = dev_row(filled("description", description=text), seed=0)
    assert not isinstance(row, BadRow)
    assert (row["description"], row["answer"], row["A"]) == (text, "", "")


@pytest.mark.parametrize(
    ("kind", "cells", "reason"),
    [
        ("yes_no", {}, "nobody has filled it in"),
        ("yes_no", {"answer": "perhaps"}, "the answer is none of the choices"),
        ("yes_no", {"answer": "Yes", "reject": "not an image"}, "the expert rejected it"),
        ("how", {"answer": "Good", "choices": "Good"}, "the choices are fewer than two, or alike, or too many"),
        ("how", {"answer": "Good", "choices": "Good | good"}, "the choices are fewer than two, or alike, or too many"),
        ("how", {"answer": "Good", "severity": "awful"}, "the severity is none of none, mild, severe"),
        ("description", {"description": "Blurred."}, "the description does not end with the level of quality"),
        ("what", {"question_type": "why"}, "the type of the question is none of the four"),
        ("what", {"index": ""}, "the index is empty"),
    ],
)
def test_a_row_that_is_no_question_says_why(kind: str, cells: Cells, reason: str):
    assert dev_row(filled(kind, **cells), seed=0) == BadRow({**asked()[kind], **cells}["index"], reason)
