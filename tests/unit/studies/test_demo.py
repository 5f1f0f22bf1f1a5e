from __future__ import annotations

import json

from studies.demo import SETTINGS, demo_plan
from studies.demo_base import FOLDER, LEFT_OUT, N_IMAGES, SEED, WEAK, base_plan, digest_of
from studies.findings import plan_findings


def test_the_base_model_is_the_one_whose_digest_stands_beside_it() -> None:
    assert (FOLDER / "digest.txt").read_text(encoding="ascii").strip() == digest_of(FOLDER)
    settings = json.loads((FOLDER / "training.json").read_text(encoding="utf-8"))["settings"]
    assert settings["seed"] == SEED


def test_the_base_model_never_saw_what_the_demo_leaves_out() -> None:
    shown = {(finding.modality, finding.attribute) for finding in plan_findings(base_plan(SEED), "base")}
    assert not shown & LEFT_OUT
    assert shown >= WEAK
    assert base_plan(SEED).sizes["base"] == N_IMAGES


def test_no_seed_of_the_demo_draws_an_image_of_the_base() -> None:
    first = base_plan(SEED).first_source("base")
    base = range(first, first + N_IMAGES)
    for seed in range(3):
        plan = demo_plan(seed)
        assert (plan.left_out, plan.weak, plan.sizes["base"]) == (LEFT_OUT, WEAK, 0)
        for split, size in plan.sizes.items():
            drawn = range(plan.first_source(split), plan.first_source(split) + size)
            assert not size or drawn.stop <= base.start or base.stop <= drawn.start


def test_replay_can_fill_every_training_set_of_the_demo() -> None:
    replayed, new = (3 * n_images for n_images in (demo_plan(0).sizes["replay"], SETTINGS["select"]["budget"]))
    assert replayed + new >= SETTINGS["build"]["total_samples"]
    assert SETTINGS["train"]["steps"] * SETTINGS["train"]["batch_size"] == 3 * SETTINGS["build"]["total_samples"]
