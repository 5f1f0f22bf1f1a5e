"""Steps and passes of the arms of an experiment, reckoned by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from studies.experiment.blocks import BLOCKS, EXPERIMENTS, MULTIPLES, OURS, RANDOM, Arm, budgets
from studies.experiment.material import Material
from studies.experiment.run_files import write_experiment_run
from studies.experiment.settings import FULL, TINY, Settings
from studies.folder import POOL_COLUMNS, write_rows

STEPS, BATCH, PASSES = 250, 32, 8  # 8000 exposures: 1000 samples are seen 8 times
SETTINGS = Settings(budget=100, questions_per_image=3, steps=STEPS, batch_size=BATCH, passes=PASSES)


@pytest.mark.parametrize(("steps", "passes", "samples"), [(250, 8, 1000), (400, 3, 4266), (2, 100, 1)])
def test_a_training_set_is_passed_over_as_often_as_asked(steps: int, passes: int, samples: int):
    assert Settings(steps=steps, batch_size=32, passes=passes).training_samples == samples


def test_all_arms_share_one_size_of_dataset_and_one_number_of_steps(tmp_path: Path):
    material = Material(tmp_path, tmp_path / "base-model", frozenset(), frozenset(), 600)
    write_rows(tmp_path / "pool_answers.tsv", [])
    write_rows(tmp_path / "pool-3.tsv", [], POOL_COLUMNS)
    (run,) = BLOCKS["primary"]
    file = yaml.safe_load(write_experiment_run(material, "primary", run, 5, SETTINGS).read_text(encoding="utf-8"))
    assert (file["seed"], file["build"], file["data"]["pool"]) == (
        5,
        {"total_samples": 1000, "replay_earlier": True},
        "pool-3.tsv",
    )
    assert {arm["train"]["steps"] for arm in file["arms"]} == {STEPS}
    assert {arm["select"]["budget"] for arm in file["arms"]} == {50, 100, 200, 400, 800, 1600}
    assert all(arm.keys() == {"name", "strategy", "select", "train"} for arm in file["arms"])


def test_an_arm_says_in_the_file_what_it_changes():
    arm = Arm("x", "novelty", 2.0, annotate={"expert": "none"}, build={"quality_assurance": False})
    assert arm.section(SETTINGS, 600) == {
        "name": "x",
        "strategy": "novelty",
        "select": {"budget": 200},
        "annotate": {"expert": "none"},
        "build": {"quality_assurance": False},
        "train": {"steps": STEPS},
    }


def test_more_steps_are_more_passes_over_as_many_samples():
    assert Arm("x", RANDOM, steps_factor=4).section(SETTINGS, 600)["train"] == {"steps": 4 * STEPS}


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
