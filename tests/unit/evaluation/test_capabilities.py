from services.evaluation.domain.capabilities import capability_labels
from shared.rows.benchmark import Item
from tests.support.rows import build


def test_each_axis_with_a_value_is_one_label():
    item = build(Item, modality="mri", question_type="what", attribute="motion", severity="mild", scope="general")
    assert capability_labels(item) == (
        "modality:mri",
        "question_type:what",
        "attribute:motion",
        "severity:mild",
        "scope:general",
    )


def test_an_empty_value_has_no_label():
    item = build(Item, modality="ct", question_type="how", attribute="", severity="", scope="")
    assert capability_labels(item) == ("modality:ct", "question_type:how")
