"""Steps and passes of the arms of an experiment, reckoned by hand."""

from __future__ import annotations

import pytest

from studies.experiment.blocks import BLOCKS, EXPERIMENTS, MULTIPLES, OURS, RANDOM, Arm, budgets
from studies.experiment.exposure import Exposure, exposure
from studies.experiment.settings import FULL, TINY, Settings

STEPS, BATCH, PASSES = 250, 32, 8  # 8000 exposures: 1000 samples are seen 8 times


@pytest.mark.parametrize(
    ("budget", "n_new", "n_replay", "passes"),
    [
        (50, 150, 850, 8.0),
        (100, 300, 700, 8.0),
        (333, 999, 1, 8.0),
        (400, 1200, 0, 8000 / 1200),
        (1600, 4800, 0, 8000 / 4800),
    ],
)
def test_replay_gives_way_to_new_samples(budget: int, n_new: int, n_replay: int, passes: float):
    assert exposure(budget, 3, STEPS, BATCH, PASSES) == Exposure(n_new, n_replay, STEPS, pytest.approx(passes))


def test_new_samples_are_seen_equally_often_at_each_budget_that_leaves_room_for_replay():
    found = [exposure(budget, 3, STEPS, BATCH, PASSES) for budget in (1, 10, 100, 333)]
    assert {(one.steps, one.passes, one.n_new + one.n_replay) for one in found} == {(250, 8.0, 1000)}


def test_an_arm_says_in_the_file_what_it_changes():
    arm = Arm("x", "novelty", 2.0, annotate={"expert": "none"}, build={"quality_assurance": False})
    settings = Settings(budget=100, questions_per_image=3, steps=STEPS, batch_size=BATCH, passes=PASSES)
    assert arm.section(settings, 600) == {
        "name": "x",
        "strategy": "novelty",
        "select": {"budget": 200},
        "annotate": {"expert": "none"},
        "build": {"replay_samples": 400, "quality_assurance": False},
        "train": {"steps": 250},
    }


def test_more_steps_are_more_passes_over_the_same_number_of_samples():
    settings = Settings(budget=100, questions_per_image=3, steps=STEPS, batch_size=BATCH, passes=PASSES)
    arm = Arm("x", RANDOM, steps_factor=4).section(settings, 600)
    assert (arm["train"], arm["build"]) == ({"steps": 1000}, {"replay_samples": 700})


def test_images_of_dev_are_spread_over_the_rounds():
    settings = Settings(budget=100, rounds=3)
    assert Arm("x", RANDOM, has_dev_labels=True).images(settings, 601) == 100 + 201


def test_the_primary_block_has_random_drawing_at_every_budget():
    (run,) = BLOCKS["primary"]
    assert [arm.multiple for arm in run.arms if arm.strategy == RANDOM] == list(MULTIPLES)
    assert run.arms[0].name == OURS


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_arm_has_its_reference_and_a_name_of_its_own(name: str):
    arms: dict[str, list[str]] = {}
    for block in EXPERIMENTS[name]:
        for run in BLOCKS[block]:
            arms.setdefault(run.mix, []).extend(arm.name for arm in run.arms)
            assert all(arm.against in arms[run.mix] for arm in run.arms)
    assert all(len(set(names)) == len(names) for names in arms.values())


@pytest.mark.parametrize("settings", [FULL, TINY])
def test_the_pool_holds_more_than_the_largest_arm_draws(settings: Settings):
    largest = max(arm.images(settings, settings.n_dev) for arm in budgets(RANDOM, MULTIPLES))
    assert largest * settings.rounds <= settings.n_pool
