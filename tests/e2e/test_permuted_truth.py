"""What is known about the pool plays no part in what is drawn from it: with the truth permuted the same images are drawn."""

from __future__ import annotations

import csv
import random
import shutil
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from pathlib import Path

import pytest

from services.retrieval.domain.sampling import Strategy
from shared.objects.dataset import read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.selection import Sample
from tests.support.finished_run import read_report
from tests.support.medq_processes import run_medq
from tests.support.tiny_study import write_config

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]
#: What each row says about where its picture lies, and which it is; all else is permuted.
PLACE = ("index", "image_path", "modality", "source_id", "patient_id", "split")
STRATEGIES = [strategy.value for strategy in Strategy]
CHANGES = {
    "rounds": 1,
    "arms": STRATEGIES,
    # So few images have as many neighbours, and only wrong answers alone make a failure: some never failed, for a contrast.
    "select": {"budget": 6, "tau_sim": 0.3, "neighbours": 2},
    "mine": {"gamma": 0.9},
    # Ends each arm when it has drawn, before an expert has seen anything.
    "stop": {"max_expert_hours": 1e-6},
}


def permute_truth(table: Path) -> int:
    """Give each image what is known about another one of its modality; returns how many rows changed."""
    with table.open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source, delimiter="\t"))
    images = [list(group) for _, group in groupby(rows, lambda row: row["image_path"])]
    permuted: list[dict[str, str]] = []
    for modality in sorted({row["modality"] for row in rows}):
        own = [group for group in images if group[0]["modality"] == modality]
        others = own.copy()
        random.Random(0).shuffle(others)
        for group, other in zip(own, others, strict=True):
            place = {name: group[0][name] for name in PLACE if name in group[0]}
            permuted += [{**row, **place} for row in other]
    for index, row in enumerate(permuted):
        row["index"] = str(index)
    with table.open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, rows[0].keys(), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(permuted)
    known = {(row["image_path"], row["question"], row["answer"]) for row in rows}
    return sum((row["image_path"], row["question"], row["answer"]) not in known for row in permuted)


def drawn(out: Path) -> dict[str, set[str]]:
    """The images that each arm drew in its first round, by its own strategy."""
    objects, report = FolderObjectStore(out / "state" / "objects"), read_report(out)
    assert not any(arm["rounds"][0]["selection"]["fallback"] for arm in report["arms"].values())
    return {
        step["arm"]: {row.image_id for row in read_rows(objects, step["uri"], Sample)}
        for step in report["measured"]["steps"]
        if (step["step"], step["round"]) == ("select_samples", 0)
    }


def test_with_the_truth_permuted_the_first_round_draws_the_same_images(
    study: Path, tmp_path: Path, pool: ProcessPoolExecutor
):
    folders = {name: Path(shutil.copytree(study, tmp_path / name)) for name in ("true", "permuted")}
    assert permute_truth(folders["permuted"] / "pool_answers.tsv") > 0
    running = []
    for name, folder in folders.items():
        config = write_config(folder / "one.yaml", **CHANGES)
        running.append(pool.submit(run_medq, "run", "--config", config, "--out", tmp_path / f"out-{name}", "--json"))
    for ended in running:
        assert ended.result().code == 0, ended.result().out
    first = drawn(tmp_path / "out-true")
    assert first.keys() == set(STRATEGIES)
    assert all(first.values())
    assert drawn(tmp_path / "out-permuted") == first
