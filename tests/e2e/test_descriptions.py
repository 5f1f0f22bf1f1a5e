"""A run over questions and descriptions, with a judge at an endpoint that fails at times."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from shared.objects.dataset import materialize, read_rows
from shared.objects.folder import FolderObjectStore
from shared.quality_level import closing_level
from shared.rows.failures import CapabilityErrorRate, Failure
from shared.rows.training import Lineage
from tests.support.chat_server import ChatServer, chat_server, refuses, says
from tests.support.finished_run import ARM, read_answers, read_report
from tests.support.medq_processes import run_medq, set_environment
from tests.support.tiny_study import write_config

pytestmark = pytest.mark.timeout(300)

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"
PRICES = {"in": 2.5, "out": 10.0}
N_DESCRIBED = 4


@dataclass(frozen=True)
class Described:
    """What a run left: its folder, its report, the server that judged, and the file that names it."""

    out: Path
    report: dict[str, Any]
    server: ChatServer
    endpoints: Path

    @property
    def objects(self) -> FolderObjectStore:
        return FolderObjectStore(self.out / "state" / "objects")

    def uri(self, step: str, round_number: int = 0) -> str:
        found = (
            one for one in self.report["measured"]["steps"] if one["step"] == step and one["round"] == round_number
        )
        return next(found)["uri"]


def described_table(source: Path, target: Path) -> None:
    """A table with its questions, and descriptions of its first images."""
    with source.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        rows, columns = list(reader), [*(reader.fieldnames or ()), "description"]
    first = list({row["image_path"]: row for row in rows}.values())[:N_DESCRIBED]
    kept = ("image_path", "modality", "attribute", "source_id", "patient_id", "split")
    for number, row in enumerate(first):
        level = ("good", "usable", "reject")[number % 3]
        text = f"The image shows {row['attribute']}. Overall, the quality of this image is {level}."
        rows.append({"index": f"description-{number}", "description": text, **{name: row[name] for name in kept}})
    with target.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, delimiter="\t", lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)


def graded(body: dict[str, Any]) -> str:
    """A judge that looks at the closing levels alone."""
    texts = json.loads(body["messages"][-1]["content"].rpartition("\n\n")[2])
    levels = [closing_level(text) for text in texts.values()]
    return json.dumps({"grade": 2 if levels[0] == levels[1] else 0})


@pytest.fixture(scope="module")
def run(study: Path, tmp_path_factory: pytest.TempPathFactory, pool: ProcessPoolExecutor) -> Iterator[Described]:
    out = tmp_path_factory.mktemp("described") / "out"
    for split in ("dev", "test", "replay"):
        described_table(study / f"{split}.tsv", study / f"{split}-described.tsv")
    tables = {split: f"{split}-described.tsv" for split in ("dev", "test", "replay")}
    config = write_config(
        study / "described.yaml",
        rounds=1,
        data={"pool": "pool", "pool_answers": "pool_answers.tsv", **tables},
        evaluate={"runs": 2, "max_new_tokens": 2, "description_tokens": 6, "judge": "judge"},
        mine={"min_cell_items": 1},
        build={"replay_ratio": 1.0},
    )
    with chat_server() as server:
        server.script += [refuses(429), says("I like it."), refuses(503)]
        server.otherwise = says(graded, usage=(200, 7))
        endpoint = {
            "base_url": server.base_url,
            "model": "judge-1",
            "usd_per_million": PRICES,
            "prices_of": "2026-11-01",
        }
        endpoints = study / "endpoints.yaml"
        endpoints.write_text(yaml.safe_dump({"judge": {**endpoint, "may_receive": "text", "tries": 4}}))
        prepare = partial(set_environment, {"MEDQ_ENDPOINTS": str(endpoints)})
        ended = pool.submit(run_medq, "run", "--config", config, "--out", out, "--yes", prepare=prepare).result()
        assert ended.code == 0, ended.err
        yield Described(out, read_report(out), server, endpoints)


def test_every_round_has_the_columns_of_descriptions_beside_its_accuracies(run: Described):
    jsonschema.validate(run.report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    answers = read_answers(run.out)
    for entry in run.report["arms"][ARM]["rounds"]:
        for split, n_runs in (("dev", 2), ("test", 1)):
            rows = [row for row in answers if (row["round"], row["split"]) == (entry["round"], split)]
            own = [row for row in rows if row["question_type"] == "description"]
            described = entry[split]["description"]
            assert len(own) == described["overall"]["n"] == N_DESCRIBED * n_runs
            assert entry[split]["perception"]["overall"]["n"] == len(rows) - len(own)
            sums = [sum(row["judgement"][axis] for axis in ("completeness", "preciseness", "consistency",
                    "quality_accuracy")) if row["judgement"] else 0 for row in own]  # fmt: skip
            assert described["overall"]["value"] == pytest.approx(sum(sums) / len(sums))
            assert described["judge"] == "judge-1, prompt 1"
            assert described["anchors"] == {"contrary": 0.0, "faithful": 8.0, "partial": 0.0}
    assert run.report["judge_drift"] == []


def test_failed_descriptions_are_mined_beside_questions(run: Described):
    failed = read_rows(run.objects, run.uri("mine_failures"), Failure)
    described = [row for row in failed if row.item_id.startswith("description-")]
    assert described
    assert len(described) < len(failed)
    rates = read_rows(run.objects, run.uri("mine_failures"), CapabilityErrorRate)
    (rate,) = [row for row in rates if row.capability == "question_type:description"]
    assert (rate.n_failures, rate.n_items) == (len(described), N_DESCRIBED)


def test_descriptions_are_trained_on_and_the_new_model_describes(run: Described, tmp_path: Path):
    dataset = run.uri("build_dataset")
    lineage = {row.id: row for row in read_rows(run.objects, dataset, Lineage)}
    folder = materialize(run.objects, dataset, tmp_path)
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    described = [row for row in rows if (lineage[row["id"]].item_id or "").startswith("description-")]
    assert described
    assert all(closing_level(row["conversations"][1]["value"]) for row in described)
    models = {row["model"] for row in read_answers(run.out) if row["item_id"] == "description-0"}
    assert models == {run.uri("import_model"), run.uri("train")}


def test_every_dollar_of_the_judge_is_what_the_server_counted(run: Described):
    judged = run.report["measured"]["ledger"]["judge"]
    assert judged["settled"]["usd"] == pytest.approx(run.server.usd(2.5, 10.0))
    assert judged["settled"]["n_simulated"] == 0
    assert judged["released"]["n"] == 2
    assert all(isinstance(asked.content, str) for asked in run.server.asked)


def test_the_page_shows_them(run: Described):
    page = (run.out / "report.html").read_text(encoding="utf-8")
    assert "Descriptions by round" in page
    assert "Judged by judge-1, prompt 1." in page


def test_medq_evaluate_says_what_a_judge_is_missing_and_then_asks_it(
    run: Described, study: Path, tmp_path: Path, pool: ProcessPoolExecutor
):
    paid = run.server.usd(2.5, 10.0)
    given = (
        "evaluate",
        "--model",
        study / "base-model" / "model",
        "--items",
        study / "test-described.tsv",
        "--out",
        tmp_path,
    )
    given = (*given, "--max-new-tokens", 2, "--description-tokens", 6)
    alone = pool.submit(run_medq, *given).result()
    assert alone.code == 3, alone.err
    assert "No judge is named for descriptions." in alone.err
    assert run.server.usd(2.5, 10.0) == paid
    prepare = partial(set_environment, {"MEDQ_ENDPOINTS": str(run.endpoints)})
    judged = pool.submit(run_medq, *given, "--judge", "judge", prepare=prepare).result()
    assert judged.code == 0, judged.err
    assert "Judged by judge-1, prompt 1" in judged.err
    described = json.loads((tmp_path / "scores.json").read_text())["description"]
    assert described["overall"]["n"] == N_DESCRIBED
