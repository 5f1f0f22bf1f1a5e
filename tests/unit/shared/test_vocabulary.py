import pytest

from shared.rows.vocabulary import meant_modality, meant_split, name_modality


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Fundos", "fundus"), ("histopatology", "histopathology"), ("endoscpy", "endoscopy"),
        ("computed tomografy", "ct"), ("Histolgy", "histopathology"),
    ],
)  # fmt: skip
def test_a_misspelt_modality_is_told(text, meant):
    assert meant_modality(text) == meant


@pytest.mark.parametrize(
    "text",
    ["", "unknown", "MRI", "MR", "Histology", "fundoscopy", "oct", "fMRI", "PET-CT", "ultrasound", "dermoscopy", "x-ray",
     "colonoscopy", "cystoscopy", "microscopy", "cytopathology", "radiology", "Magnetic resonance"],
)  # fmt: skip
def test_a_modality_that_is_known_or_of_its_own_is_no_misspelling(text):
    assert meant_modality(text) == ""


def test_other_names_of_fundus_photography_are_known():
    assert {name_modality(text) for text in ("Fundoscopy", "colour fundus photography")} == {"fundus"}


@pytest.mark.parametrize(("text", "meant"), [("tset", "test"), ("Dev ", ""), ("pol", "pool"), ("train", ""), ("", "")])
def test_a_misspelt_split_is_told(text, meant):
    assert meant_split(text) == meant
