"""`medq costs` on a folder that no process works on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from services.controller.domain.ledger import Cost, Limits
from services.controller.migrations import SCHEMA
from services.controller.settings import ControllerSettings
from services.controller.store.ledger import Ledger
from shared.resources import open_database


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output folder with 1500 entries of one run, half of them settled, and one of another."""
    engine = open_database(ControllerSettings(state_folder=tmp_path / "state"), SCHEMA)
    ledger = Ledger(engine)
    costs = [Cost(f"mine/{number}", "expert", expert_seconds=30.0) for number in range(1500)]
    for start in (0, 750):
        ledger.reserve("mine", costs[start : start + 750], Limits(), f"request/{start}")
    ledger.settle("mine", costs[:750])
    ledger.reserve("other", [Cost("other/0", "oracle", usd=1.0)], Limits(), "another")
    engine.dispose()
    return tmp_path


def test_every_entry_is_listed_in_its_order(out: Path) -> None:
    done = CliRunner().invoke(app, ["costs", "--out", str(out), "--run-id", "mine", "--json"])
    entries = json.loads(done.stdout)["entries"]
    assert [entry["cost"]["key"] for entry in entries] == [f"mine/{number}" for number in range(1500)]
    assert [entry["state"] for entry in entries] == ["settled"] * 750 + ["reserved"] * 750
    assert {entry["cost"]["expert_seconds"] for entry in entries} == {30.0}


def test_a_person_sees_the_last_entries_and_how_many_there_are(out: Path) -> None:
    done = CliRunner().invoke(app, ["costs", "--out", str(out), "--run-id", "other"])
    assert done.exit_code == 0
    assert "1 entries" in done.stderr
    assert "other/0" in done.stderr
