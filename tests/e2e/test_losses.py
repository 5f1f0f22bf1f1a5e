"""What a run loses on its way is told in the terminal, in both reports and by the exit code; too much of it ends the run."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import jsonschema
import pytest

from tests.support.finished_run import remembered_costs
from tests.support.medq_processes import Ended
from tests.support.tiny_study import write_config

pytestmark = pytest.mark.timeout(240)
Medq = Callable[..., Ended]
SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"
N_POOL, N_BAD, N_TEST = 30, 4, 12


@pytest.fixture
def spoilt(study: Path, tmp_path: Path) -> Path:
    """A copy of the study: 4 of 30 pool files are no pictures, one of 12 test rows has no answer."""
    own = Path(shutil.copytree(study, tmp_path / "own"))
    pool = sorted(path for path in (own / "pool").rglob("*") if path.is_file())
    assert len(pool) == N_POOL
    for path in pool[:N_BAD]:
        path.write_text("This is no picture.", encoding="utf-8")
    with (own / "test.tsv").open(encoding="utf-8", newline="") as source:
        header, *rows = csv.reader(source, delimiter="\t")
    rows = rows[:N_TEST]
    rows[3][header.index("answer")] = "neither"
    with (own / "test.tsv").open("w", encoding="utf-8", newline="") as target:
        csv.writer(target, delimiter="\t", lineterminator="\n").writerows([header, *rows])
    return own


def names(path: Path) -> list[str]:
    return [json.loads(line)["name"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_loss_is_told_everywhere_and_the_run_ends_with_3(medq: Medq, spoilt: Path, tmp_path: Path):
    data = {name: f"{name}.tsv" for name in ("pool_answers", "dev", "test", "replay")}
    config = write_config(
        spoilt / "run.yaml", rounds=1, data={"pool": "pool", **data, "max_lost_share": 0.25}
    )  # of the rows about the pool, those about the bad files are lost too
    out = tmp_path / "out"
    ended = medq("run", "--config", config, "--out", out)
    assert ended.code == 3, ended.err
    of_pool = "Lost: pool: 4 of 30 images failed: The content is not an image that is read here — Use PNG"
    of_test = "Lost: test: 1 of 12 rows rejected: the answer is not among the options — give a letter"
    assert ended.err.count(of_pool) == 2  # as soon as they are in, and at the end
    assert ended.err.count(of_test) == 2
    assert ended.err.index(of_pool) < ended.err.index("evaluate dev")

    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    losses = report["losses"]
    assert losses["is_partial"]
    lost = {(one["name"], one["unit"]): (one["n"], one["kept"], one["lost"]) for one in losses["sets"]}
    assert lost["pool", "images"] == (30, 26, 4)
    assert lost["test", "rows"] == (12, 11, 1)
    assert lost["dev", "images"][2] == lost["dev", "rows"][2] == 0
    entries = [entry for entry in losses["entries"] if entry["is_loss"]]
    assert {entry["place"] for entry in entries} == {"pool", "pool_answers", "test"}

    page = (out / "report.html").read_text(encoding="utf-8")
    assert "What was not used" in page
    assert "the answer is not among the options" in page

    bad = names(out / "left-out" / "pool-images.jsonl")
    assert len(bad) == N_BAD
    assert len(names(out / "left-out" / "test-rows.jsonl")) == 1
    assert not any(name in page or name in json.dumps(losses) for name in bad)

    asked = medq("report", "--out", out)
    assert asked.code == 3
    assert of_pool in asked.err


def test_a_set_that_lost_too_much_ends_the_run_before_anything_is_spent(
    medq: Medq, spoilt: Path, tmp_path: Path, pool: ProcessPoolExecutor
):
    out = tmp_path / "out"
    ended = medq("run", "--config", spoilt / "run.yaml", "--out", out, "--json")
    error = json.loads(ended.out)["error"]
    assert (ended.code, error["reason"], error["field"]) == (1, "FAILED_PRECONDITION", "data.max_lost_share")
    assert "pool lost 4 of 30 images: 4 failed (The content is not an image" in error["message"]
    assert "test lost" not in error["message"]  # 1 of 12 is below a tenth
    assert "raise the share" in error["remedy"]

    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["measured"]["failure"] == error["message"]
    assert "Too much was lost" in (out / "report.html").read_text(encoding="utf-8")
    assert {one["name"] for one in report["losses"]["sets"] if one["lost"]} == {"pool", "pool_answers", "test"}
    assert {step["step"].split("_")[0] for step in report["measured"]["steps"]} == {"ingest", "import"}
    assert "import_model" not in {step["step"] for step in report["measured"]["steps"]}
    assert {entry.cost.kind for entry in remembered_costs(out, pool)} == {"compute"}  # of reading what was brought in
    assert len(names(out / "left-out" / "pool-images.jsonl")) == N_BAD


def test_an_evaluation_tells_what_its_table_lost(medq: Medq, spoilt: Path, tmp_path: Path):
    model = ("--model", spoilt / "base-model" / "model", "--max-new-tokens", 2)
    ended = medq("evaluate", *model, "--items", spoilt / "test.tsv", "--out", tmp_path / "out")
    assert ended.code == 3
    assert "Lost: items: 1 rows rejected: the answer is not among the options — give a letter" in ended.err
    assert len(names(tmp_path / "out" / "left-out" / "items-rows.jsonl")) == 1
