import pytest

from services.controller.domain.losses import losses, require_kept
from services.controller.domain.round_facts import ArmFacts, RoundFacts
from shared.errors import FailedPrecondition
from shared.left_out import LeftOut, SetFacts
from shared.rows.annotation import Summary
from shared.rows.evaluation import Unscored
from shared.rows.selection import Selection
from shared.rows.training import Dropped
from tests.support.rows import build

POOL = SetFacts("pool", "images", 40, (LeftOut("failed", "No image.", "Save it.", 3), LeftOut("duplicate", "", "", 9)))
TEST = SetFacts("test", "rows", 10, (LeftOut("rejected", "no answer", "give one", 2),))


def arm(**facts):
    return ArmFacts("a", "random", "seed_rule", None, [RoundFacts(1, **facts)])


def test_each_set_says_what_it_kept():
    block = losses([POOL, SetFacts("dev", "images", 5)], [])
    assert block["is_partial"]
    assert block["sets"] == [
        {"name": "pool", "unit": "images", "n": 40, "kept": 37, "lost": 3, "lost_share": 3 / 40},
        {"name": "dev", "unit": "images", "n": 5, "kept": 5, "lost": 0, "lost_share": 0.0},
    ]
    assert block["entries"][0] == {
        "arm": None, "round": None, "place": "pool", "unit": "images", "is_loss": True,
        "outcome": "failed", "reason": "No image.", "remedy": "Save it.", "n": 3,
    }  # fmt: skip


def test_what_is_left_out_on_purpose_makes_no_run_partial():
    summary = build(Summary, unanswered={"the expert rejected it": 2, "no money": 3}, stopped={"oracle": "no money"})
    facts = arm(
        selection=build(Selection, excluded={"leak_sha256": 1, "used_before": 0}),
        summary=summary,
        dropped=[build(Dropped, reason="near-duplicate image")] * 2,
        unscored={"dev": []},
    )
    block = losses([SetFacts("pool", "images", 4, (LeftOut("duplicate", "", "", 2),))], [facts])
    assert not block["is_partial"]
    assert [(entry["place"], entry["outcome"], entry["n"]) for entry in block["entries"]] == [
        ("pool", "duplicate", 2), ("selection", "excluded", 1), ("annotation", "unanswered", 3),
        ("annotation", "unanswered", 2), ("dataset", "dropped", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "facts",
    [
        {"unscored": {"dev": [], "test": [build(Unscored)] * 4}},
        {"summary": build(Summary, unanswered={"the oracle does not know the question": 1}, stopped={"oracle": ""})},
    ],
)
def test_what_could_not_be_evaluated_or_answered_is_lost(facts):
    block = losses([], [arm(**facts)])
    assert block["is_partial"]
    (entry,) = block["entries"]
    assert (entry["arm"], entry["round"], entry["is_loss"]) == ("a", 1, True)


def test_an_image_that_was_lost_whole_is_an_image_and_not_a_question():
    lost = {"the oracle's answer was of no use, twice": 3, "no money": 5}
    summary = build(Summary, unanswered={}, images_without_question=lost, stopped={"oracle": "no money"})
    block = losses([], [arm(summary=summary)])
    told = [(entry["unit"], entry["outcome"], entry["n"], entry["is_loss"]) for entry in block["entries"]]
    assert told == [("images", "without_question", 5, False), ("images", "without_question", 3, True)]


def test_a_set_may_lose_its_share_and_no_more():
    require_kept([TEST, POOL], 0.2)
    with pytest.raises(FailedPrecondition, match=r"test lost 2 of 10 rows: 2 rejected \(no answer\)") as refused:
        require_kept([TEST, POOL], 0.19)
    assert (refused.value.field, refused.value.value) == ("data.max_lost_share", "0.19")
    assert "pool" not in refused.value.message
    assert refused.value.remedy


def test_every_set_that_lost_too_much_is_named():
    with pytest.raises(FailedPrecondition, match=r"pool lost 3 of 40 images: 3 failed \(No image\); test lost"):
        require_kept([POOL, TEST], 0.0)
