"""`medq estimate`, and `medq run` that asks before it spends: from a run's file, its sets and the prices of the site."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cli.main import app
from tests.support.run_files import write_run_files

ENDPOINTS = {
    "gpt": {
        "base_url": "http://127.0.0.1:9/v1",
        "model": "m",
        "usd_per_million": {"in": 2.0, "out": 8.0},
        "prices_of": "2026-11-01",
        "may_receive": "images",
        "image_tokens": 1000,
    }
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One image in the pool, one question each in dev and test, two rounds, an oracle that is paid."""
    (tmp_path / "endpoints.yaml").write_text(yaml.safe_dump(ENDPOINTS), encoding="utf-8")
    monkeypatch.setenv("MEDQ_ENDPOINTS", str(tmp_path / "endpoints.yaml"))
    changes = {"annotate": {"oracle": "gpt", "expert": "none"}, "stop": {"max_usd": 0.0001}}
    file = tmp_path / "run" / "run.yaml"
    text = write_run_files(tmp_path / "run", **changes)
    file.write_text(text, encoding="utf-8")
    return file


def medq(*arguments: object, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == code, result.output
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def test_the_sizes_of_the_sets_and_the_prices_of_the_site_make_the_estimate(config: Path):
    found = medq("estimate", "--config", config)
    (line,) = found["rounds"]  # the pool has one image, which the first round draws
    assert (line["kind"], line["endpoint"], line["calls"]) == ("oracle", "gpt", {"low": 1.0, "high": 2.0})
    assert 0 < line["usd"]["low"] < line["usd"]["high"] < 0.1
    assert found["is_real"] is True
    assert "stop.max_usd is 0.0001, and the run will need more" in found["warnings"][0]


def test_a_run_that_costs_money_does_not_start_unasked(config: Path, tmp_path: Path):
    error = medq("run", "--config", config, "--out", tmp_path / "out", code=2)["error"]
    assert error["field"] == "yes"
    assert medq("status", "--out", tmp_path / "out")["runs"] == []


def test_an_endpoint_that_the_site_does_not_have_is_told_before_anything_else(config: Path):
    file = config.with_name("other.yaml")
    file.write_text(config.read_text().replace("oracle: gpt", "oracle: other"), encoding="utf-8")
    assert medq("estimate", "--config", file, code=2)["error"]["field"] == "annotate.oracle"
