from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from services.evaluation.domain.capabilities import capability_labels, cells
from services.evaluation.domain.failures import capability_error_rates
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


def items(*labels):
    """Items of (modality, attribute, severity), numbered."""
    return [
        build(Item, item_id=str(number), modality=modality, attribute=attribute, severity=severity)
        for number, (modality, attribute, severity) in enumerate(labels)
    ]


def sizes(rows, axes=("modality", "attribute"), min_items=3):
    """Cell to the number of its items."""
    return Counter(cells(rows, axes, min_items).values())


def test_an_item_lies_in_the_cell_of_its_values_on_the_axes():
    rows = items(*[("mri", "motion", "mild")] * 3, *[("ct", "motion", "")] * 3)
    assert sizes(rows) == {"modality:mri+attribute:motion": 3, "modality:ct+attribute:motion": 3}
    assert sizes(rows, ("attribute",)) == {"attribute:motion": 6}
    assert sizes(rows, ("attribute", "modality"))["attribute:motion+modality:ct"] == 3


def test_cells_that_are_too_small_are_pooled_and_a_cell_of_just_enough_items_stands():
    rows = items(*[("mri", "motion", "")] * 3, *[("mri", "noise", "")] * 2, ("mri", "ghost", ""))
    assert sizes(rows) == {"modality:mri+attribute:motion": 3, "modality:mri+attribute:other": 3}


def test_a_parent_without_a_cell_that_is_large_enough_is_one_cell_under_its_own_name():
    rows = items(*[("mri", "motion", "")] * 2, *[("mri", "noise", "")] * 2, ("ct", "blur", ""))
    assert sizes(rows) == {"modality:mri": 4, "modality:ct": 1}


def test_items_without_a_value_join_what_is_pooled():
    rows = items(*[("mri", "", "")] * 4)
    assert sizes(rows) == {"modality:mri": 4}
    rows += [replace(row, item_id=f"m{row.item_id}", attribute="motion") for row in rows]
    rows.append(replace(rows[0], item_id="g", attribute="ghost"))
    assert sizes(rows) == {"modality:mri+attribute:motion": 4, "modality:mri+attribute:other": 5}


def test_what_is_pooled_and_still_too_small_goes_on_to_the_next_parent_and_stays_at_the_first_axis():
    rows = items(
        *[("mri", "motion", "mild")] * 3,
        *[("mri", "motion", "severe")] * 2,  # too few here, and too few beside the mild ones
        *[("mri", "noise", "mild")] * 2,
        *[("ct", "blur", "mild")] * 2,
    )
    assert sizes(rows, ("modality", "attribute", "severity")) == {
        "modality:mri+attribute:motion+severity:mild": 3,
        "modality:mri+attribute:other": 4,
        "modality:ct": 2,
    }


def test_an_axis_without_a_value_is_left_out_of_the_middle():
    rows = items(*[("mri", "", "mild")] * 3)
    assert sizes(rows, ("modality", "attribute", "severity")) == {"modality:mri+severity:mild": 3}


def test_an_item_without_any_value_is_other_on_the_first_axis():
    assert sizes(items(("mri", "", ""), ("mri", "", "")), ("attribute", "severity")) == {"attribute:other": 2}


def test_no_items_have_no_cells():
    assert cells([], ("modality",), 10) == {}


@given(
    labels=st.lists(st.tuples(*[st.sampled_from(["", "a", "b", "other"])] * 3), max_size=40),
    axes=st.permutations(["modality", "attribute", "severity"]).flatmap(
        lambda a: st.integers(1, 3).map(lambda n: a[:n])
    ),
    min_items=st.integers(1, 8),
    rng=st.randoms(),
)
def test_cells_are_a_partition_that_knows_no_order(labels, axes, min_items, rng):
    rows = items(*labels)
    found = cells(rows, axes, min_items)
    assert sorted(found) == sorted(row.item_id for row in rows)
    shuffled = rng.sample(rows, len(rows))
    assert cells(shuffled, axes, min_items) == found
    rates = capability_error_rates(((found[row.item_id],), True) for row in rows)
    assert sum(rate.n_items for rate in rates) == len(rows)
    for row in rows:
        parts = [part for part in found[row.item_id].split("+") if not part.endswith(":other")]
        assert set(parts) <= set(capability_labels(row, axes))
    for cell, n in Counter(found.values()).items():
        assert n >= min_items or "+" not in cell or (cell.count("+") == 1 and cell.endswith(":other"))
