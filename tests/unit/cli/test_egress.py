"""`medq egress list` on a folder that no process works on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from services.controller.domain.egress import Leaving
from services.controller.migrations import SCHEMA
from services.controller.settings import ControllerSettings
from services.controller.store.egress import EgressLog
from shared.resources import open_database


def row(number: int) -> Leaving:
    return Leaving(
        "gpt-4o", "api.example.org", "gpt-4o-0806", "oracle", f"k{number}", "ab" * 32, "cd" * 32, 1000 + number
    )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output folder of which 1500 things left for one run, and one for another."""
    engine = open_database(ControllerSettings(state_folder=tmp_path / "state"), SCHEMA)
    log = EgressLog(engine, now=lambda: 1_790_000_000.0)
    for start in (0, 750):
        log.record("mine", f"request/{start}", [row(number) for number in range(start, start + 750)])
    log.record("other", "another", [row(9)])
    engine.dispose()
    return tmp_path


def test_every_row_is_listed_in_its_order(out: Path) -> None:
    done = CliRunner().invoke(app, ["egress", "list", "--out", str(out), "--run", "mine", "--json"])
    rows = json.loads(done.stdout)["egress"]
    assert [entry["key"] for entry in rows] == [f"k{number}" for number in range(1500)]
    assert rows[0] == {
        "endpoint": "gpt-4o",
        "host": "api.example.org",
        "model": "gpt-4o-0806",
        "purpose": "oracle",
        "key": "k0",
        "image_id": "ab" * 32,
        "text_sha256": "cd" * 32,
        "n_bytes": 1000,
        "run_id": "mine",
        "time": "2026-09-21T14:13:20Z",
    }


def test_a_person_sees_the_last_rows_of_all_runs_and_how_many_there_are(out: Path) -> None:
    done = CliRunner().invoke(app, ["egress", "list", "--out", str(out)])
    assert done.exit_code == 0
    assert "1501 rows" in done.stderr
    assert "other" in done.stderr


def test_each_row_has_a_line_of_80_columns(out: Path) -> None:
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["egress", "list", "--out", str(out)])
    rows = [line for line in done.stderr.splitlines() if "2026-09-21 14:13" in line]
    assert len(rows) == 200
    assert rows[-1].split() == [
        "2026-09-21", "14:13", "api.example.org", "oracle", "other", "image", "abababab", "1,009",
    ]  # fmt: skip


def test_a_folder_without_runs_has_no_audit(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["egress", "list", "--out", str(tmp_path)]).exit_code == 1
