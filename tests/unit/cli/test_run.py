"""Files that `medq run` and `medq report` cannot read end with a typed error."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer

from cli.commands.run import read_config, show_report
from shared.errors import DataLoss, FailedPrecondition, InvalidArgument


def test_a_configuration_that_is_no_text_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_bytes(b"name: \xff\n")
    with pytest.raises(InvalidArgument) as refused:
        read_config(config)
    assert refused.value.field == "config"


@pytest.mark.parametrize("leads_to", ["pipe", "/dev/zero"])
def test_a_configuration_that_is_no_file_is_refused_without_waiting(tmp_path: Path, leads_to: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "run.yaml").symlink_to(leads_to)
    with pytest.raises(InvalidArgument, match="no regular file"):
        read_config(tmp_path / "run.yaml")


def report(**score: object) -> str:
    overall = {"value": 0.3, "low": 0.2, "high": 0.4, "n": 30, "unscored": 0, "scored": 1.0, "coverage": 0.3, **score}
    told = {"perception": {"overall": overall}}
    rounds = [{"round": 0, "dev": told, "test": None}]
    return json.dumps({"schema_version": 2, "arms": {"a": {"rounds": rounds, "stop_reason": "rounds"}}})


def test_the_share_of_readable_replies_stands_beside_the_accuracy_and_ends_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json").write_text(report(), encoding="utf-8")
    show_report(tmp_path, is_json=False)
    told = capsys.readouterr().err
    assert "30.0 %" in told
    assert "counts as wrong" in told
    assert "UNSCORED" not in told


@pytest.mark.parametrize("is_json", [True, False])
def test_what_could_not_be_evaluated_ends_with_exit_code_3(tmp_path: Path, is_json: bool) -> None:
    (tmp_path / "report.json").write_text(report(unscored=4), encoding="utf-8")
    with pytest.raises(typer.Exit) as ended:
        show_report(tmp_path, is_json)
    assert ended.value.exit_code == 3


def test_a_report_whose_figures_mean_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"schema_version": 1, "arms": {}}', encoding="utf-8")
    with pytest.raises(FailedPrecondition) as refused:
        show_report(tmp_path, is_json=False)
    assert refused.value.remedy


@pytest.mark.parametrize("text", ["{", "", "[]", "{}"])
def test_a_damaged_report_is_data_loss(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataLoss):
        show_report(tmp_path, is_json=False)


def test_the_terminal_names_the_promoted_model_the_gains_and_what_the_dev_set_could_not_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(report(n_sources=5))
    gain = {"value": 0.05, "low": -0.1, "high": 0.2, "n": 30, "n_sources": 5}
    arm = told["arms"]["a"]
    arm["promoted"] = {"round": 1}
    arm["rounds"].append(
        {
            **arm["rounds"][0],
            "round": 1,
            "decision": {"verdict": "unclear"},
            "test_gain": {"over_base": gain, "over_previous": gain},
        }
    )
    told["measured"] = {"promoted_models": {"a": "sha256:abc"}}
    told["comparisons"] = [{"arm": "a", "other": "b", "round": 1, "gain": gain}]
    (tmp_path / "report.json").write_text(json.dumps(told), encoding="utf-8")
    show_report(tmp_path, is_json=False)
    shown = " ".join(capsys.readouterr().err.split())
    assert "best promoted model: round 1 sha256:abc" in shown
    assert "Round 1: the dev set cannot tell" in shown
    assert "+0.050" in shown
    assert "few sources" in shown
    assert "Arm against arm" in shown
