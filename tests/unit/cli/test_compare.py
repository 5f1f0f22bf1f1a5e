import json

import pytest
from typer.testing import CliRunner

from cli.commands.compare import summarised
from cli.main import app
from shared.errors import InvalidArgument


def gain(value):
    return {"value": value, "low": value, "high": value, "n": 9, "n_sources": 9}


def report(seed, *over_base, promoted=1, versus=0.1, **settings):
    rounds = [{"round": 0, "test_gain": None}] + [
        {"round": number, "test_gain": {"over_base": gain(value), "over_previous": gain(value)}}
        for number, value in enumerate(over_base, start=1)
    ]
    arm = {"rounds": rounds, "promoted": {"round": promoted, "dev": None, "test": None}}
    against = {"arm": "a", "other": "b", "round": 1, "gain": gain(versus)}
    config = {"name": f"n{seed}", "seed": seed, "select": {"budget": 5}, **settings}
    return {"schema_version": 2, "config": config, "arms": {"a": arm}, "comparisons": [against]}


def test_the_mean_over_seeds_has_students_interval():
    found = summarised([report(0, 0.1), report(1, 0.2), report(2, 0.3)])
    assert found["seeds"] == [0, 1, 2]
    mean = {(one["arm"], one["round"]): one["mean"] for one in found["gains"]}["a", "1"]
    assert (mean["value"], mean["n"]) == (pytest.approx(0.2), 3)
    assert mean["high"] - mean["value"] == pytest.approx(4.303 * 0.1 / 3**0.5, abs=1e-3)
    assert found["comparisons"][0]["mean"]["value"] == pytest.approx(0.1)


def test_what_came_out_of_an_arm_counts_with_zero_where_it_is_the_base_model():
    found = summarised([report(0, 0.1, -0.3), report(1, -0.2, promoted=0)])
    means = {one["round"]: one["mean"] for one in found["gains"]}
    assert (means["promoted"]["value"], means["promoted"]["n"]) == (pytest.approx(0.05), 2)
    assert (means["2"]["n"], means["2"]["low"]) == (1, None)


@pytest.mark.parametrize(
    ("reports", "field"),
    [
        ([report(0, 0.1)], "reports"),
        ([report(0, 0.1), report(0, 0.2)], "seed"),
        ([report(0, 0.1), report(1, 0.2, select={"budget": 6})], "select.budget"),
        ([report(0, 0.1), report(1, 0.2, rounds=3)], "rounds"),
        (
            [
                report(seed, 0.1, arms=[{"name": "a"}, {"name": "b", "select": {"budget": 7 + seed}}])
                for seed in range(2)
            ],
            "arms.1.select.budget",
        ),
    ],
)
def test_reports_that_cannot_be_compared_are_refused_by_name(reports, field):
    with pytest.raises(InvalidArgument) as refused:
        summarised(reports)
    assert refused.value.field == field


def test_the_command_takes_files_and_folders(tmp_path):
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        (tmp_path / str(seed) / "report.json").write_text(json.dumps(report(seed, 0.1 + seed)))
    paths = [str(tmp_path / "0"), str(tmp_path / "1" / "report.json")]
    told = CliRunner().invoke(app, ["compare", *paths, "--json"])
    assert told.exit_code == 0
    assert json.loads(told.stdout)["seeds"] == [0, 1]
    assert CliRunner().invoke(app, ["compare", paths[0]]).exit_code == 2
