from services.evaluation.domain.anchors import anchors
from services.evaluation.domain.outcomes import Outcome
from shared.rows.benchmark import Item
from tests.support.rows import build, image_id


def outcome(image, is_failure, cell="ct"):
    return Outcome(build(Item, image_id=image_id(image)), (), is_failure, cell)


def test_an_image_is_a_failure_where_some_item_about_it_is_one():
    found = anchors([outcome("a", False), outcome("a", True), outcome("a", None)])
    assert [(row.image_id, row.is_failure) for row in found] == [(image_id("a"), True)]


def test_an_image_is_no_failure_where_something_was_evaluated_and_nothing_failed():
    assert [row.is_failure for row in anchors([outcome("a", None), outcome("a", False)])] == [False]


def test_an_image_whose_items_are_all_unscored_is_neither():
    assert [row.is_failure for row in anchors([outcome("a", None), outcome("a", None)])] == [None]


def test_failed_items_are_counted_by_cell_and_images_are_sorted():
    about = [
        outcome("a", True, "mri"),
        outcome("b", False),
        outcome("a", True),
        outcome("a", True),
        outcome("a", False),
    ]
    found = {row.image_id: row.capabilities for row in anchors(about)}
    assert found == {image_id("a"): {"ct": 2, "mri": 1}, image_id("b"): {}}
    assert list(found) == sorted(found)
