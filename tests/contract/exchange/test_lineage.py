"""`medq lineage` of a run that no process works on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from services.controller.domain.ledger import Cost, Limits
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer
from shared.rows.failures import CapabilityErrorRate, Failure, PrototypeRow
from shared.rows.selection import Sample, Selection
from tests.support.resting_run import RUN, RestingRun
from tests.support.rows import build

CELL = "modality:ct+attribute:metal_artifact"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RestingRun]:
    run = RestingRun(tmp_path / "run")
    decision = run.decision(0, prototype_id="p000", capability=CELL, route="expert", expert_action="edit")
    run.note("import_dev", run.put("benchmark", {"items.jsonl": [build(Item)], "report.jsonl": []}), arm="-")
    for number, rights in enumerate([(False, False), (True, False)]):
        rows = [build(Answer, run=place, correct=right) for place, right in enumerate(rights)]
        run.note("evaluate_dev", run.put("evaluation", {"answers.jsonl": rows}), round_number=number)
    mined = {
        "failures.jsonl": [build(Failure)],
        "prototypes.jsonl": [build(PrototypeRow)],
        "capabilities.jsonl": [build(CapabilityErrorRate)],
    }
    run.note("mine_failures", run.put("failures", mined))
    samples = [build(Sample, sample_id="sample-0", prototype_id="p000", capability=CELL)]
    run.note(
        "select_samples",
        run.put("selection", {"samples.jsonl": samples, "selection.json": build(Selection, fallback="")}),
    )
    run.note("annotate", run.put("decisions", {"decisions.jsonl": [decision], "unanswered.jsonl": []}))
    run.train_on([decision])
    cost = Cost(f"{RUN}/failure_driven/0/oracle/sample-0/aa", "oracle", usd=0.25, tokens=900)
    run.ledger.reserve(RUN, [cost], Limits(), "r1")
    run.ledger.settle(RUN, [cost], is_on_record=False)
    yield run
    run.close()


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
