import pytest

from services.controller.domain.richness import richness
from shared.rows.failures import CapabilityErrorRate
from tests.support.rows import build

#: Ten pool images: 6 MRI with noise, 2 MRI with motion, 1 CT with noise, 1 CT of which two things are asked.
POOL = {
    **{f"n{i}": {("mri", "noise")} for i in range(6)},
    **{f"m{i}": {("mri", "motion")} for i in range(2)},
    "c0": {("ct", "noise")},
    "c1": {("ct", "noise"), ("ct", "metal")},
}


def rate(capability, failures, items, **said):
    return build(
        CapabilityErrorRate,
        capability=capability,
        n_failures=failures,
        n_items=items,
        error_rate=failures / items,
        **said,
    )


RATES = [
    rate("modality:mri+attribute:motion", 8, 10),
    rate("modality:mri+attribute:noise", 1, 10),
    rate("modality:ct+attribute:metal", 4, 10),
    rate("modality:mri", 9, 10, is_drawn_for=False),
]


def test_shares_and_ratios_of_cells_by_hand():
    found = richness(POOL, ["m0", "m1", "n0", "c1"], RATES)
    assert (found["n_pool"], found["n_drawn"]) == (10, 4)
    assert {row["cell"]: (row["pool_share"], row["drawn_share"]) for row in found["cells"]} == {
        "modality:ct+attribute:metal": (0.1, 0.25),
        "modality:ct+attribute:noise": (0.2, 0.25),
        "modality:mri+attribute:motion": (0.2, 0.5),
        "modality:mri+attribute:noise": (0.6, 0.25),
    }
    assert found["cells"][2]["ratio"] == pytest.approx(2.5)


def test_weak_are_cells_with_more_failures_than_all_items_together():
    """13 of 30 items fail (0.43): of the cells only motion (0.8) is above that; the axis that is not drawn for plays no part."""
    found = richness(POOL, ["m0", "m1", "n0", "c1"], RATES)
    assert [row["cell"] for row in found["cells"] if row["is_weak"]] == ["modality:mri+attribute:motion"]
    assert found["weak"] == {"pool_share": 0.2, "drawn_share": 0.5, "ratio": 2.5}


def test_a_weak_capability_of_one_axis_holds_all_its_cells():
    rates = [rate("modality:ct", 9, 10), rate("modality:mri", 1, 10)]
    assert richness(POOL, ["c0", "n0"], rates)["weak"] == {"pool_share": 0.2, "drawn_share": 0.5, "ratio": 2.5}


def test_a_capability_of_an_axis_without_truth_is_nobodys():
    rates = [rate("modality:mri+question_type:what", 9, 10), rate("modality:mri", 1, 10)]
    assert richness(POOL, ["c0", "n0"], rates)["weak"] is None


def test_other_holds_the_cells_that_have_no_capability_of_their_own():
    """Motion has its own, which is not weak; noise of MRI is in `other`, which is. CT has no capability at all."""
    rates = [rate("modality:mri+attribute:motion", 1, 10), rate("modality:mri+attribute:other", 9, 10)]
    found = richness(POOL, ["n0", "m0"], rates)
    assert [row["cell"] for row in found["cells"] if row["is_weak"]] == ["modality:mri+attribute:noise"]
    assert richness(POOL, ["n0"], [rate("modality:other", 9, 10), rate("modality:mri", 1, 10)])["weak"] is None


def test_without_truth_about_what_was_drawn_nothing_is_said():
    assert richness({}, ["m0"], RATES) is None
    assert richness(POOL, ["unknown"], RATES) is None
    assert richness(POOL, [], RATES) is None
