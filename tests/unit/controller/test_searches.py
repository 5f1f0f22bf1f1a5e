"""What a round went looking for: what failed beside what was found, and how much of the find shows it."""

from services.controller.domain.searches import N_DRAWN, N_FAILED, searches
from shared.rows.failures import Anchor, PrototypeRow
from shared.rows.selection import Sample
from tests.support.rows import build, image_id

RINGS, NOISE = "modality:ct+attribute:rings", "modality:ct+attribute:noise"
POOL = {
    **{image_id(f"r{n}"): {("ct", "rings")} for n in range(2)},
    **{image_id(f"n{n}"): {("ct", "noise")} for n in range(8)},
}


def drawn(name, capability=RINGS, prototype_id=""):
    return build(Sample, image_id=image_id(name), capability=capability, prototype_id=prototype_id)


def failed(name, capabilities):
    return build(Anchor, image_id=image_id(name), capabilities=capabilities)


def test_a_draw_by_cell_shows_the_dev_images_that_failed_in_it_the_most_failures_first():
    anchors = [failed("a", {RINGS: 1}), failed("b", {RINGS: 3}), failed("c", {NOISE: 2}), failed("d", {})]
    found = searches([drawn("r0"), drawn("r1"), drawn("n0")], anchors, [], POOL)
    assert [one["name"] for one in found] == [RINGS]
    assert found[0]["failed_image_ids"] == [image_id("b"), image_id("a")]
    assert found[0]["drawn_image_ids"] == [image_id("r0"), image_id("r1"), image_id("n0")]
    assert found[0]["enrichment"] == {"n_known": 3, "n_with_it": 2, "pool_share": 0.2}


def test_a_draw_by_prototype_is_named_after_the_cell_of_most_of_its_failures():
    prototype = build(PrototypeRow, prototype_id="p000", profile={NOISE: 0.25, RINGS: 0.75}, image_ids=(image_id("a"),))
    (found,) = searches([drawn("r0", NOISE, "p000")], [], [prototype], POOL)
    assert (found["name"], found["cell"], found["n_failed"]) == ("p000", RINGS, 1)
    assert found["enrichment"]["n_with_it"] == 1


def test_a_draw_by_a_score_is_a_search_of_its_measure_behind_which_nothing_failed():
    samples = [build(Sample, image_id=image_id("r0"), capability="", prototype_id="", measure="novelty", score=0.5)]
    (found,) = searches(samples, [failed("a", {RINGS: 1})], [], POOL)
    assert (found["name"], found["n_failed"], found["n_drawn"], found["enrichment"]) == ("novelty", 0, 1, None)


def test_the_search_that_drew_most_is_first_and_images_are_bounded():
    anchors = [failed(f"a{n}", {RINGS: 1}) for n in range(20)]
    samples = [drawn("n0", NOISE), *(drawn(f"r{n}") for n in range(20))]
    found = searches(samples, anchors, [], POOL)
    assert [(one["name"], one["n_drawn"]) for one in found] == [(RINGS, 20), (NOISE, 1)]
    assert (len(found[0]["failed_image_ids"]), len(found[0]["drawn_image_ids"])) == (N_FAILED, N_DRAWN)
    assert found[0]["n_failed"] == 20


def test_a_random_draw_looked_for_nothing():
    assert searches([drawn("r0", capability="")], [], [], POOL) == []


def test_without_the_truth_or_for_a_mixed_cell_nothing_is_said_of_the_find():
    for cell in ("modality:ct", "modality:ct+attribute:other", "modality:ct+question_type:what"):
        assert searches([drawn("r0", cell)], [], [], POOL)[0]["enrichment"] is None
    assert searches([drawn("r0")], [], [], {})[0]["enrichment"] is None
