"""A pool that nobody has labelled, through the whole loop: an oracle at an endpoint that fails at times, and no expert."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.support.chat_server import ChatServer, chat_server, refuses, says
from tests.support.medq_processes import run_medq, set_environment
from tests.support.oracle_answers import answer_to_task
from tests.support.tiny_study import write_config

pytestmark = pytest.mark.timeout(240)
SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"
PRICES = {"in": 2.5, "out": 10.0}


@pytest.fixture
def oracle() -> Iterator[ChatServer]:
    """Busy at first, useless once, then it does what it is asked."""
    with chat_server() as server:
        server.script.extend([refuses(429, {"Retry-After": "0"}), says("Sorry."), refuses(503)])
        server.otherwise = says(
            lambda body: answer_to_task(
                body["messages"][-1]["content"][-1]["text"], body["response_format"]["json_schema"]["schema"]
            ),
            usage=(1000, 300),
        )
        yield server


def test_a_pool_without_labels_runs_the_loop_and_the_report_says_who_annotated(
    pool: ProcessPoolExecutor, study: Path, oracle: ChatServer, tmp_path: Path
):
    site = tmp_path / "endpoints.yaml"
    endpoint = {"base_url": oracle.base_url, "model": "gpt-4o", "usd_per_million": PRICES, "prices_of": "2026-11-01"}
    site.write_text(yaml.safe_dump({"gpt-4o": {**endpoint, "may_receive": "images"}}), encoding="utf-8")
    data = {name: f"{name}.tsv" for name in ("dev", "test", "replay")}
    config = write_config(
        study / "unlabelled.yaml",
        rounds=1,
        data={"pool": "pool", **data, "simulated_images": "The images are phantoms."},
        evaluate={"runs": 3, "max_new_tokens": 2, "description_tokens": 4},
        annotate={"oracle": "gpt-4o", "expert": "none", "max_in_flight": 2},
    )
    out = tmp_path / "out"
    prepare = partial(set_environment, {"MEDQ_ENDPOINTS": str(site)})
    ended = pool.submit(run_medq, "run", "--config", config, "--out", out, "--yes", prepare=prepare).result()
    assert ended.code == 0, ended.err
    assert "No expert reviewed" in ended.out + ended.err
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert [one["part"] for one in report["simulated"]] == ["images"]
    assert [one["name"] for one in report["annotators"]] == ["gpt-4o", "none"]
    (arm,) = report["arms"].values()
    annotation = arm["rounds"][0]["annotation"]
    assert annotation["n_simulated"] == 0
    assert annotation["routes"] == {"reference": annotation["n_decisions"]}
    assert annotation["n_decisions"] == 4 * 6  # three questions and a description of each image drawn
    assert len(arm["rounds"]) == 2
    spent = report["measured"]["ledger"]["oracle"]["settled"]["usd"]
    assert spent == pytest.approx(oracle.usd(PRICES["in"], PRICES["out"]))
