"""An experiment by its command, on real services and a few images: results, table and page, and what becomes of a failed seed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.medq_processes import Ended

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]
SEED, BROKEN = 1, 2
ARMS = {
    *("failure_contrast", "no_human_in_the_loop", "no_capability_driven_questions", "no_adaptive_sampling"),
    *("no_quality_assurance", "random"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment in which the study of one seed is another one."""
    out = tmp_path_factory.mktemp("experiment")
    study = out / "seeds" / f"{BROKEN:05d}" / "study"
    study.mkdir(parents=True)
    (study / "study.json").write_text("{}", encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def ended(folder: Path, medq: Callable[..., Ended]) -> Ended:
    return medq("experiment", "ablation", "--out", folder, "--seeds", f"{SEED}-{BROKEN}", "--tiny", "--jobs", 2)


def rows_of(folder: Path) -> list[dict]:
    return json.loads((folder / "results" / f"seed-{SEED:05d}.ablation.json").read_text(encoding="utf-8"))["rows"]


def test_a_seed_that_fails_is_counted_by_its_reason_and_leaves_the_others_alone(ended: Ended, folder: Path):
    assert ended.code == 1, ended.err
    assert "1 seed failed (ALREADY_EXISTS: 1)" in ended.err
    assert [path.name for path in (folder / "results").iterdir()] == [f"seed-{SEED:05d}.ablation.json"]


def test_every_arm_has_a_row_for_the_base_model_and_one_for_its_training(ended: Ended, folder: Path):
    rows = rows_of(folder)
    assert {(row["arm"], row["round"]) for row in rows} == {(arm, number) for arm in ARMS for number in (0, 1)}
    assert len({row["accuracy"]["overall"] for row in rows if row["round"] == 0}) == 1
    for row in rows:
        assert 0 < row["accuracy"]["n"] == 60 - row["accuracy"]["unscored"]
        assert (row["draw"] is None) == (row["round"] == 0)
        assert (row["real"]["n_sources"], row["real"]["unscored"]) == (6, 0)


def test_an_arm_without_experts_has_labels_that_none_saw(ended: Ended, folder: Path):
    seen = {row["arm"]: row["draw"]["n_expert"] for row in rows_of(folder) if row["draw"]}
    assert seen["no_human_in_the_loop"] == 0
    assert seen["failure_contrast"] > 0


def test_the_table_is_made_anew_from_the_results_and_nothing_is_run(
    ended: Ended, folder: Path, medq: Callable[..., Ended]
):
    files = {name: (folder / name).read_bytes() for name in ("experiment.json", "experiment.html")}
    for name in files:
        (folder / name).unlink()
    again = medq("experiment", "ablation", "--out", folder, "--tiny", "--table", "--json")
    assert (again.code, json.loads(again.out)) == (0, json.loads(files["experiment.json"]))
    assert {name: (folder / name).read_bytes() for name in files} == files


def test_the_same_command_runs_nothing_that_has_results(ended: Ended, folder: Path, medq: Callable[..., Ended]):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}
    again = medq("experiment", "ablation", "--out", folder, "--seeds", SEED, "--tiny")
    assert again.code == 0, again.err
    changed = {path.name for path in folder.rglob("*.json") if before.get(path) != path.stat().st_mtime_ns}
    assert changed == {"experiment.json"}


def test_interrupted_it_ends_with_its_seeds_and_says_that_it_goes_on(tmp_path: Path):
    command = [sys.executable, "-m", "cli.main", "experiment", "ablation", "--out", tmp_path, "--seeds", "7", "--tiny"]
    # A shell starts what runs in its background with Ctrl-C ignored, and children inherit that.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ, preexec_fn=heed) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ablation: 1 seed to run.\n"
        process.send_signal(signal.SIGINT)
        assert "The same command goes on where it was." in process.stderr.read()
        assert process.wait() == 130
    assert not (tmp_path / "results").exists()
