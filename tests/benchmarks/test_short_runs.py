"""Every benchmark and every study that prints a table runs from its beginning to its end, at a size that takes seconds."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.embedding.adapters.statistics_encoder import CONSTANTS
from studies.encoder_constants import unlabelled_statistics, write_constants

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
#: Those that end by `benchmarks.outcome.end`, and what makes them small.
MEASURED = {
    "benchmarks.clustering": "--points 220 --dimensions 16 --sklearn",
    "benchmarks.console": "--runs 3 --images 50",
    "benchmarks.encoders": "--images 2 --tower vit_tiny_patch16_224",
    "benchmarks.generation": "--items 2 --runs 2 --tokens 2",
    "benchmarks.manifest": "--rows 10000",
    "benchmarks.near_hashes": "--size 400",
    "benchmarks.near_texts": "--size 100",
    "benchmarks.reading": "--size 4",
    "benchmarks.retrieval": "--n 3000 --d 65",
    "benchmarks.selection": "--size 40000",
}
#: Those that print a table, and a word that is in it.
PRINTED = {
    "benchmarks.replies": ("", "others"),
    "benchmarks.rows": ("--rows 50", "msgspec structs, held"),
    "studies.burned_in_text": ("--images 1", "false alarms"),
    "studies.selection_richness": ("--pool 40 --dev 40 --budget 5 --seeds 0", "(the pool)"),
    "studies.stop_rule": ("--repetitions 2", "| 200 |"),
    "studies.twins": ("--sources 1 --others 1", "| method |"),
}
#: Tried elsewhere: on servers in `test_on_servers.py`, on a finished run in `e2e/test_figures_of_a_run.py`, and as named.
ELSEWHERE = {
    "benchmarks.bus",
    "benchmarks.controller",
    "benchmarks.embedding_worker",  # a process of `benchmarks.ingest`
    "benchmarks.ingest",
    "benchmarks.left_out",
    "benchmarks.review_decisions",
    "benchmarks.review_queue",
    "benchmarks.routing",
    "benchmarks.training_gpu",  # below, as far as it goes without a GPU
    "studies.demo_base",  # a quarter of an hour; `unit/studies/test_demo.py` has what it left
    "studies.encoder_constants",  # below: its command writes into the source
    "studies.real_example",  # `unit/studies/test_real_example.py`
}

Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command of a module in this process, which has its libraries already; what it writes to standard output."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def call(name: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        importlib.import_module(name).main()
        return capsys.readouterr().out

    return call


def test_every_command_is_run_by_some_test() -> None:
    commands = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in ("benchmarks", "studies")
        for path in (ROOT / folder).glob("*.py")
        if "__main__" in path.read_text(encoding="utf-8")
    }
    assert commands == MEASURED.keys() | PRINTED.keys() | ELSEWHERE


@pytest.mark.parametrize("name", MEASURED)
def test_a_benchmark_ends_with_its_figures(name: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(name, *MEASURED[name].split())
    printed = capsys.readouterr()
    figures = json.loads(printed.out)
    assert ended.value.code == (0 if figures["is_floor_met"] else 1)
    assert ("BELOW THE FLOOR" in printed.err) is not figures["is_floor_met"]


@pytest.mark.parametrize("name", PRINTED)
def test_a_study_prints_its_table(name: str, run: Run) -> None:
    arguments, word = PRINTED[name]
    assert word in run(name, *arguments.split())


def test_training_is_not_measured_without_a_gpu(run: Run) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU: `python -m benchmarks.training_gpu` measures on it")
    with pytest.raises(SystemExit, match="nothing was measured"):
        run("benchmarks.training_gpu")


def test_constants_of_the_encoder_are_made_in_the_shape_of_those_that_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "constants.npz"
    write_constants(path, unlabelled_statistics(13))
    with np.load(path) as made, np.load(CONSTANTS) as kept:
        assert {name: made[name].shape for name in made} == {name: kept[name].shape for name in kept}
