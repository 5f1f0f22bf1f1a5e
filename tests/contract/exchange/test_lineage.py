"""`medq lineage` of a run that no process works on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.support.followed_run import followed_run
from tests.support.resting_run import RestingRun


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RestingRun]:
    with followed_run(tmp_path / "run") as run:
        yield run


def lineage(run: RestingRun, *arguments: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["lineage", *arguments, "--out", str(run.out), "--json"])
    assert result.exit_code == code, result.output
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def test_a_training_sample_leads_to_its_errors_its_cost_and_what_became_of_them(run: RestingRun):
    (found,) = lineage(run, "d0")["samples"]
    assert (found["arm"], found["round"], found["fate"]) == ("failure_driven", 0, "trained on")
    assert found["cause"]["failures"] == [{"item_id": "17", "error_rate": 0.8}]
    assert (found["decision"]["route"], found["decision"]["expert_action"]) == ("expert", "edit")
    assert found["decision"]["is_simulated"] is True
    assert [(entry["cost"]["usd"], entry["state"]) for entry in found["costs"]] == [(0.25, "settled")]
    assert {(one["what"], one["before"], one["after"]) for one in found["changes"]} == {
        ("capability", 1.0, 0.5), ("prototype", 1.0, 0.5), ("item", 1.0, 0.5)
    }  # fmt: skip


def test_a_person_is_told_in_words_whether_the_error_fell(run: RestingRun):
    result = CliRunner().invoke(app, ["lineage", "sample-0", "--out", str(run.out)])
    assert result.exit_code == 0
    assert "fell: 1.000 before, 0.500 after" in result.stderr.replace("\n", " ")


def test_a_dev_item_leads_to_what_was_done_about_it(run: RestingRun):
    item = lineage(run, "--item", "17")["item"]
    first, second = item["rounds"]
    assert (item["gold"], first["prototype_id"], first["sample_ids"]) == ("C", "p000", ["sample-0"])
    assert (first["decided"], first["n_trained"], first["n_wrong"]) == ({"expert": 1}, 1, 2)
    assert (second["round"], second["n_wrong"], second.get("is_failure")) == (1, 1, None)


@pytest.mark.parametrize("arguments", [("unknown",), ("--item", "unknown")])
def test_what_the_run_does_not_know_is_told(run: RestingRun, arguments: tuple[str, ...]):
    assert lineage(run, *arguments, code=1)["error"]["reason"] == "NOT_FOUND"


@pytest.mark.parametrize("arguments", [(), ("d0", "--item", "17")])
def test_exactly_one_of_sample_and_item_is_asked_for(run: RestingRun, arguments: tuple[str, ...]):
    assert lineage(run, *arguments, code=2)["error"]["field"] == "SAMPLE"
