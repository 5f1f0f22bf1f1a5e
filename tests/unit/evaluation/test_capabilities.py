from services.evaluation.domain.capabilities import capability_labels


def test_each_axis_with_a_value_is_one_label():
    item = {
        "modality": "MRI",
        "question_type": "what",
        "attribute": "motion",
        "severity": "mild",
        "scope": "general",
    }
    assert capability_labels(item | {"question": "?"}) == (
        "modality:mri",
        "question_type:what",
        "attribute:motion",
        "severity:mild",
        "scope:general",
    )


def test_empty_and_absent_values_have_no_label():
    assert capability_labels({"modality": "ct", "severity": "", "scope": None, "attribute": "  "}) == (
        "modality:ct",
    )
    assert capability_labels({}) == ()


def test_spelling_of_white_space_and_case_is_one_capability():
    assert capability_labels({"attribute": "Motion  Blur"}) == capability_labels({"attribute": "motion_blur"})
