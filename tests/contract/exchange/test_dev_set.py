"""`medq dev-set`: from a folder of images over a table that is filled in to a development set that is imported."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.main import app
from services.evaluation.adapters.benchmark_table import read_table
from services.evaluation.domain.benchmark import item_of
from shared.rows.benchmark import Item
from shared.rows.images import Image as ImageRow
from tests.support.rows import build

ANSWERS = {"yes_no": "Yes", "what": "None", "how": "Usable"}
DESCRIPTION = "A scan. Overall, the quality of this image is usable."


def medq(*arguments: object, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == code, result.output
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def fill(table: Path, **changes: dict[str, str]) -> None:
    """Answer every question; `changes` are by index."""
    rows = rows_of(table)
    for row in rows:
        row["answer"], row["description"] = ANSWERS.get(row["question_type"], ""), DESCRIPTION
        row["reject"] = ""
        row.update(changes.get(row["index"], {}))
    with table.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(0)
    for number in range(12):
        place = folder / "images" / f"patient-{number % 6}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (48, 48), dtype=np.uint8)).save(place)
    (folder / "images" / "broken.png").write_bytes(b"no picture")
    told = medq(
        "dev-set", "build", "--images", folder / "images", "--n", 4, "--out", folder / "set", "--modality", "mri",
        "--patient-folders", "--pool-manifest", folder / "pool.tsv", code=3,
    )  # fmt: skip
    assert told["images"] == told["sources"] == 4
    assert sum(told["left_out"].values()) == 1
    return folder


def test_no_patient_is_in_dev_and_in_the_pool(built: Path):
    dev = {row["patient_id"] for row in rows_of(built / "set" / "questions.tsv")}
    pool = rows_of(built / "pool.tsv")
    assert len(dev) == 4
    assert {row["patient_id"] for row in pool} == {f"patient-{number}" for number in range(6)} - dev
    assert all((built / row["image_path"]).is_file() for row in pool)


def test_the_files_of_the_set_say_nothing_of_their_names(built: Path):
    names = {path.name for path in (built / "set" / "images").iterdir()}
    assert len(names) == 4
    assert not any("patient" in name for name in names)
    assert not (built / "set" / "work").exists()


def test_what_is_filled_in_becomes_a_set_that_evaluation_imports(built: Path):
    table = built / "set" / "questions.tsv"
    fill(table, **{"0001-how": {"answer": "perhaps"}, "0002-what": {"reject": "no"}})
    told = medq("dev-set", "read", table, "--force", code=3)
    assert told["questions"] == 14
    assert {row["name"]: row["reason"] for row in told["left_out"]} == {
        "0001-how": "the answer is none of the choices",
        "0002-what": "the expert rejected it",
    }
    items = [item_of(row.cells, build(ImageRow), "dev") for row in read_table(built / "set" / "dev.tsv")]
    kinds = [item.question_type for item in items if isinstance(item, Item)]
    assert len(kinds) == 14
    assert set(kinds) == {"yes_no", "what", "how", "description"}


def test_review_tasks_that_come_back_make_the_same_set(built: Path, tmp_path: Path):
    """As `questions.csv` and as Label Studio's JSON: a letter for an answer, a text for a description."""
    folder = tmp_path / "set"
    shutil.copytree(built / "set", folder)
    fill(folder / "questions.tsv")
    medq("dev-set", "read", folder / "questions.tsv", "--out", folder / "expected.tsv")
    letters = {"yes_no": "A", "how": "B"}
    with (folder / "questions.csv").open(encoding="utf-8-sig", newline="") as lines:
        records = list(csv.DictReader(lines))
    for record in records:
        options = json.loads(record["options"])
        right = {text: letter for letter, text in options.items()}.get("None", "")
        record |= {"action": "edit", "answer": letters.get(record["question_type"], right) or DESCRIPTION}
    with (folder / "questions.csv").open("w", encoding="utf-8-sig", newline="") as lines:
        writer = csv.DictWriter(lines, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    tasks = json.loads((folder / "label-studio.json").read_text(encoding="utf-8"))
    for task, record in zip(tasks, records, strict=True):
        kind, value = ("choices", "choices") if task["data"]["options"] else ("textarea", "text")
        name = "answer" if task["data"]["options"] else "description"
        result = {"from_name": name, "to_name": "image", "type": kind, "value": {value: [record["answer"]]}}
        task["annotations"] = [{"result": [result], "was_cancelled": False, "lead_time": 3.5}]
    (folder / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    for name in ("questions.csv", "export.json"):
        told = medq("dev-set", "read", folder / name, "--out", folder / f"{name}.tsv")
        assert told["questions"] == 16
        assert (folder / f"{name}.tsv").read_bytes() == (folder / "expected.tsv").read_bytes()


def test_a_set_that_is_there_is_not_written_over(built: Path):
    (built / "set" / "other.tsv").write_text("mine")
    error = medq("dev-set", "read", built / "set" / "questions.tsv", "--out", built / "set" / "other.tsv", code=1)[
        "error"
    ]
    assert error["field"] == "out"
    assert (built / "set" / "other.tsv").read_text() == "mine"


def test_an_empty_table_is_told_and_nothing_is_written(built: Path, tmp_path: Path):
    table = tmp_path / "questions.tsv"
    table.write_text("index\timage_path\tquestion\tanswer\n1\ta.png\tIs it?\t\n")
    assert "1 " in medq("dev-set", "read", table, code=2)["error"]["remedy"]
    assert not (tmp_path / "dev.tsv").exists()


def test_a_manifest_that_could_not_name_the_images_is_refused(built: Path, tmp_path: Path):
    places = ("--out", tmp_path / "x", "--pool-manifest", tmp_path / "pool.tsv")
    error = medq("dev-set", "build", "--images", built / "images", *places, code=2)["error"]
    assert error["field"] == "pool_manifest"
