"""`medq experiment` where nothing is run: what it is asked, what it tells, and the table."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from cli.commands.experiment import missing_of, seeds_of
from cli.experiment_progress import ExperimentProgress
from cli.experiment_seeds import Seed
from cli.main import app
from shared.errors import InvalidArgument
from studies.experiment.results import Shortfall, write_results
from tests.support.experiments import arm_round, results_of


def medq(*arguments: object):
    return CliRunner().invoke(app, ["experiment", *map(str, arguments)])


@pytest.mark.parametrize(
    ("text", "numbers"), [("0-7", list(range(8))), ("3", [3]), ("3, 10-12,11", [3, 10, 11, 12]), ("5-5", [5])]
)
def test_seeds_are_numbers_and_ranges(text: str, numbers: list[int]):
    assert seeds_of(text) == numbers


@pytest.mark.parametrize("text", ["", "a", "-1", "7-3", "1-", "1--2", "0-100000", "5,", "99999999999", "٣", "1-²"])
def test_what_is_no_seed_is_refused(text: str):
    with pytest.raises(InvalidArgument, match="no seeds"):
        seeds_of(text)


def test_seeds_with_results_are_not_run_again(tmp_path: Path):
    write_results(tmp_path, results_of(4, {"random": [0.5, 0.6]}))
    assert missing_of(tmp_path, ["primary", "controls"], [3, 4]) == {"primary": [3], "controls": [3, 4]}


@pytest.mark.parametrize(
    ("arguments", "field"),
    [(("--blocks", "ablation"), "blocks"), (("--seeds", "x"), "seeds"), (("--blocks", "x,y"), "blocks")],
)
def test_a_wrong_option_is_named_before_anything_is_made(arguments: tuple[str, ...], field: str, tmp_path: Path):
    ended = medq("scaling", "--out", tmp_path / "out", "--json", *arguments)
    assert (ended.exit_code, json.loads(ended.stdout)["error"]["field"]) == (2, field)
    assert not (tmp_path / "out").exists()


def test_an_unknown_experiment_is_a_wrong_use(tmp_path: Path):
    assert medq("guessing", "--out", tmp_path).exit_code == 2


def test_the_table_is_made_from_what_is_there(tmp_path: Path):
    for seed in (1, 2):
        write_results(tmp_path, results_of(seed, {"random": [0.5, 0.6], "failure_contrast": [0.5, 0.7 + seed / 100]}))
    ended = medq("sample-efficiency", "--out", tmp_path, "--tiny", "--table", "--json")
    assert ended.exit_code == 0
    summary = json.loads(ended.stdout)
    assert summary == json.loads((tmp_path / "experiment.json").read_text(encoding="utf-8"))
    assert summary["seeds"] == {"primary": [1, 2], "controls": [], "steps4": [], "pools": []}
    assert "<h1>" in (tmp_path / "experiment.html").read_text(encoding="utf-8")


def test_the_table_of_nothing_says_so(tmp_path: Path):
    ended = medq("ablation", "--out", tmp_path, "--tiny", "--table")
    assert ended.exit_code == 0
    assert "Nothing can be said yet" in " ".join(ended.stderr.split())


def test_time_left_is_what_the_work_so_far_took_for_what_is_left():
    now = [100.0]
    progress = ExperimentProgress(total=40, is_quiet=True, clock=lambda: now[0])
    look = progress.watch("primary", n_seeds=2, work=10)
    assert progress.left(0) == "Making images and base models."
    now[0] = 160.0
    look([Seed(1, "training", 5)], [])
    assert progress.left(5) == "12.5 % of the training steps are done, about 7 min 00 s left."
    assert progress.left(40) == ""


def test_what_an_earlier_call_did_shortens_no_time_left():
    progress = ExperimentProgress(total=40, is_quiet=True, clock=iter([0.0, 60.0]).__next__)
    assert progress.left(30, found=30) == "75.0 % of the training steps are done."
    assert progress.left(35, found=30) == "87.5 % of the training steps are done, about 1 min 00 s left."


def test_the_table_names_an_arm_that_drew_fewer_images_than_asked(tmp_path: Path):
    row = arm_round("k_centre", 1, 0.5, shortfall=Shortfall(1, 2))
    for seed, rows in ((1, (row,)), (2, ())):
        write_results(tmp_path, msgspec.structs.replace(results_of(seed, {}), rows=rows))
    ended = medq("sample-efficiency", "--out", tmp_path, "--tiny", "--table")
    assert "k centre, seed 1 (1 of 2)." in ended.output
