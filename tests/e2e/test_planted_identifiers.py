"""A whole run over pictures and tables that say whom they show: nothing of it is stored, printed, answered or reported."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.finished_run import read_report
from tests.support.planted import MARKERS, plant_pictures
from tests.support.planted_world import take_in_and_look
from tests.support.servers import short_folder


def with_a_column(table: Path) -> None:
    """Give a table two more columns, which name a patient, and such a name to each source."""
    with table.open(encoding="utf-8", newline="") as source:
        header, *rows = csv.reader(source, delimiter="\t")
    for row in rows if "source_id" in header else ():
        row[header.index("source_id")] += f" {MARKERS['source_id']}"
    with table.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, delimiter="\t", lineterminator="\n")
        writer.writerow([*header, "patient_name", "session_id"])
        writer.writerows([*row, MARKERS["another column"], MARKERS["session_id"]] for row in rows)


@pytest.mark.timeout(600)
def test_a_run_leaves_no_planted_identifier(study: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(study, tmp_path / "own"))
    plant_pictures(own / "pool" / "planted")
    for name in ("pool_answers.tsv", "dev.tsv", "test.tsv", "replay.tsv"):
        with_a_column(own / name)
    config = yaml.safe_load((own / "run.yaml").read_text(encoding="utf-8"))
    config["data"]["max_lost_share"] = 0.9
    config["rounds"], config["evaluate"]["runs"] = 1, 1
    (own / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with short_folder() as folder:
        left = take_in_and_look(folder, own)
        assert left.found == set()
        report = read_report(folder / "seen" / "out")
        assert report["losses"]["is_partial"]
        assert {place for place in left.named if place.startswith("seen/out/")} == {
            "seen/out/left-out/pool-images.jsonl"
        }
