"""Two arms of different budgets that make as many steps over as many samples, by the real services."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.support.medq_processes import Ended
from tests.support.tiny_study import write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"
TOTAL, STEPS, BATCH = 24, 6, 8


def test_a_larger_budget_displaces_replay_at_equal_steps(medq: Callable[..., Ended], study: Path, tmp_path: Path):
    config = write_config(
        study / "arms.yaml",
        rounds=1,
        evaluate={"runs": 1, "max_new_tokens": 2},
        build={"total_samples": TOTAL, "quality_assurance": False},
        train={"learning_rate": 2e-4, "batch_size": BATCH, "steps": STEPS},
        annotate={"oracle": "simulated", "expert": "simulated"},
        arms=[
            {"name": "few", "strategy": "random", "select": {"budget": 3}},
            {"name": "many", "strategy": "random", "select": {"budget": 5}},
        ],
    )
    ended = medq("run", "--config", config, "--out", tmp_path / "out", "--json")
    assert ended.code == 0, ended.err
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    few, many = (report["arms"][name]["rounds"][0] for name in ("few", "many"))
    assert (few["selection"]["requested"], many["selection"]["requested"]) == (3, 5)
    assert 0 < few["dataset"]["n_new"] < many["dataset"]["n_new"] < TOTAL
    for one in (few, many):
        assert one["dataset"]["n_samples"] == TOTAL == one["dataset"]["n_new"] + one["dataset"]["n_replay"]
        assert (one["training"]["n_steps"], one["training"]["n_samples"]) == (STEPS, TOTAL)
        assert "n_replay_lacking" not in one["dataset"]
