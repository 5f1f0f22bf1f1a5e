"""`medq review` against a real oracle server: out to files, decided there, and back."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from cli.main import app
from medq.oracle.v1 import review_pb2 as pb
from shared.objects.dataset import read_rows
from shared.rows.annotation import Decision
from shared.rpc.operations import await_operation
from tests.support.oracle_house import House, begin, tasks


@pytest.fixture
def channel(house: House) -> Iterator[grpc.Channel]:
    with house.server() as channel:
        house.neighbours.targets = {"oracle": house.settings.listen}
        begin(house, channel)
        yield channel


@pytest.fixture
def medq(house: House, channel: grpc.Channel) -> Any:
    def call(*arguments: str, code: int = 0) -> Any:
        given = ["review", *arguments, "--out", str(house.folder / "out"), "--json"]
        ended = CliRunner().invoke(app, [*given, "--server", house.targets["controller"]], catch_exceptions=False)
        assert ended.exit_code == code, ended.output
        return json.loads(ended.stdout)

    return call


def test_a_csv_goes_out_is_filled_in_and_comes_back(
    house: House, channel: grpc.Channel, medq: Any, tmp_path: Path
) -> None:
    file = tmp_path / "r.csv"
    told = medq("export", "--to", str(file), "--images", str(tmp_path / "pictures"))
    assert (told["tasks"], told["images"]) == (8, 4)
    rows, columns = _read(file)
    for row in rows:
        picture = (tmp_path / row["image"]).read_bytes()
        assert picture == b"".join(house.objects.chunks(row["image_uri"]))
        row |= {"action": "accept", "active_seconds": "12.5"}
    rows[0] |= {"action": "reject", "reason": "=HYPERLINK(0)"}
    rows[1] |= {"action": "", "reviewer": "bob"}
    rows[2] |= {"action": "edit", "answer": "Z"}
    rows[3] |= {"task_id": "no such task"}
    _write(file, columns, rows)
    told = medq("import", str(file), "--reviewer", "ann", code=3)
    assert told["counts"] == {"decided": 5, "known": 0, "undecided": 1, "without_time": 0, "refused": 2}
    assert [one["place"] for one in told["refused"]] == ["line 4", "line 5"]
    assert "no option" in told["refused"][0]["why"]
    again = medq("import", str(file), "--reviewer", "ann", code=3)
    assert again["counts"] == {"decided": 0, "known": 5, "undecided": 1, "without_time": 0, "refused": 2}
    decided = {task.task_id: task.decision for task in tasks(channel, state=pb.TASK_STATE_DECIDED)}
    assert decided[rows[0]["task_id"]].reason == "=HYPERLINK(0)"
    assert {one.reviewer for one in decided.values()} == {"ann"}
    assert medq("list")["counts"] == {"open": 3, "leased": 0, "decided": 5, "closed": 0, "withdrawn": 0}
    assert medq("close", "--run-id", "run") == {"closed": 3}
    uri = await_operation(channel, "op").result_uri
    assert len(read_rows(house.objects, uri, Decision)) == 4


def test_what_label_studio_exports_comes_back(channel: grpc.Channel, medq: Any, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    assert medq("export", "--to", str(file))["tasks"] == 8
    assert (tmp_path / "r.xml").read_text().startswith("<View>")
    given = json.loads(file.read_text())
    for task in given:
        result = task["predictions"][0]["result"]
        task["annotations"] = [{"result": result, "was_cancelled": False, "lead_time": 3, "completed_by": 1}]
    file.write_text(json.dumps(given))
    assert medq("import", str(file))["counts"]["decided"] == 8
    assert await_operation(channel, "op").result_uri
    assert {task.decision.action for task in tasks(channel)} == {pb.REVIEW_ACTION_ACCEPT}


@pytest.mark.parametrize("name", ["r.csv", "r.json"])
def test_what_is_decided_goes_out_and_in_again_without_a_change(medq: Any, tmp_path: Path, name: str) -> None:
    first = tmp_path / "first.csv"
    medq("export", "--to", str(first))
    rows, columns = _read(first)
    rows[0] |= {"action": "reject", "reason": 'a,\n"b" =1', "active_seconds": "0.1", "reviewer": "Ünïcode"}
    rows[1] |= {"action": "accept", "active_seconds": "33.333333333333336", "reviewer": "@bob"}
    _write(first, columns, rows)
    assert medq("import", str(first))["counts"]["decided"] == 2
    medq("export", "--to", str(tmp_path / name), "--state", "all")
    assert medq("import", str(tmp_path / name))["counts"] == {
        "decided": 0, "known": 2, "undecided": 6, "without_time": 0, "refused": 0,
    }  # fmt: skip


def test_a_file_of_another_kind_is_wrong_input(medq: Any, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("{}")
    (tmp_path / "r.csv").write_bytes(b"\xff")
    for name in ("r.json", "r.csv"):
        assert medq("import", str(tmp_path / name), code=2)["error"]["field"] == "file"
    assert medq("export", "--to", str(tmp_path / "r.xlsx"), code=2)["error"]["field"] == "to"


def _read(file: Path) -> tuple[list[dict[str, str]], list[str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        return list(reader), list(reader.fieldnames or [])


def _write(file: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, columns)
        writer.writeheader()
        writer.writerows(rows)


def test_what_a_simulated_oracle_said_is_marked_in_lists_and_files(
    house: House, channel: grpc.Channel, medq: Any, tmp_path: Path
) -> None:
    assert {task.is_reference_simulated for task in tasks(channel)} == {True}
    assert {task["is_reference_simulated"] for task in medq("list")["tasks"]} == {True}
    given = ["review", "list", "--out", str(house.folder / "out"), "--server", house.targets["controller"]]
    assert "(simulated)" in CliRunner(env={"COLUMNS": "200"}).invoke(app, given).output
    medq("export", "--to", str(tmp_path / "r.csv"))
    assert {row["is_reference_simulated"] for row in _read(tmp_path / "r.csv")[0]} == {"True"}
    medq("export", "--to", str(tmp_path / "r.json"))
    said = [
        one["model_version"] for task in json.loads((tmp_path / "r.json").read_text()) for one in task["predictions"]
    ]
    assert "oracle (simulated)" in said
    assert "oracle" not in said
