"""`medq dataset export`: what it writes, what it holds against digests, and what it leaves alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import grpc
import pytest
from typer.testing import CliRunner

from cli.main import app
from medq.operations.v1 import operations_pb2 as pb
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from services.resting import resting
from shared.objects.store import digest_of
from shared.rows.training import Dropped
from shared.rpc.channels import Channels
from shared.status import from_rpc_error
from tests.support.evaluation import object_file
from tests.support.resting_run import ARM, RestingRun
from tests.support.rows import build, image_id


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RestingRun]:
    run = RestingRun(tmp_path / "run")
    item, leak = run.replayed(0), build(Dropped, id="d9", image_id=image_id(9), reason="leak: patient")
    run.train_on([run.decision(0), run.decision(1)], [item], dropped=[leak])
    run.train_on([run.decision(2, simulated=False)], [item], round_number=1)
    yield run
    run.close()


def export(run: RestingRun, out: Path, *options: str, source: str = "", code: int = 0) -> dict[str, Any]:
    arguments = ["dataset", "export", source or str(run.out), "--out", str(out), *options, "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, result.output
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_last_dataset_of_a_run_is_exported_in_all_forms(run: RestingRun, tmp_path: Path):
    (told,) = export(run, tmp_path / "set")["sets"]
    assert (told["samples"], told["simulated"], told["images"]) == (2, 0, 2)
    rows = lines(tmp_path / "set" / "train.jsonl")
    assert {row["id"] for row in rows} == {"d2", "replay/item-0"}
    for row in rows:
        assert sum(turn["value"].count("<image>") for turn in row["conversations"]) == len(row["images"])
        assert (tmp_path / "set" / row["images"][0]).read_bytes().startswith(b"\x89PNG")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_is_exported_is_what_the_dataset_holds_byte_for_byte(run: RestingRun, tmp_path: Path):
    export(run, tmp_path / "set", "--round", "0")
    exported = content_of(tmp_path / "set")
    stored = run.store.results("run")[0].uri
    manifest = json.loads(run.objects.read_bytes(stored))
    same = {name: entry["sha256"] for name, entry in manifest["files"].items() if name != "README.md"}
    assert {name: hashlib.sha256(exported[name]).hexdigest() for name in same} == same


def test_all_rounds_joined_hold_each_sample_once(run: RestingRun, tmp_path: Path):
    (told,) = export(run, tmp_path / "set", "--joined")["sets"]
    assert [row["id"] for row in lines(tmp_path / "set" / "train.jsonl")] == ["d0", "d1", "replay/item-0", "d2"]
    assert (told["samples"], told["repeated"], told["simulated"], told["dropped"]) == (4, 1, 2, 1)
    assert [source["round"] for source in told["sources"]] == [0, 1]


def test_the_card_says_where_the_samples_come_from_and_what_was_simulated(run: RestingRun, tmp_path: Path):
    export(run, tmp_path / "set", "--joined")
    card = (tmp_path / "set" / "README.md").read_text(encoding="utf-8")
    assert "**2 of the 3 new samples were annotated by a simulated oracle or expert**" in card
    assert "| new | 3 |\n| replay | 1 |" in card
    assert "| leak: patient | 1 |" in card
    export(run, tmp_path / "last")
    assert "None of the 1 new samples" in (tmp_path / "last" / "README.md").read_text(encoding="utf-8")


def test_each_arm_has_a_folder_of_its_own_unless_one_is_named(tmp_path: Path):
    run = RestingRun(tmp_path / "run", (ARM, "random"))
    run.train_on([run.decision(0)])
    run.train_on([run.decision(1)], arm="random")
    run.close()
    export(run, tmp_path / "both", "--format", "llava")
    assert lines(tmp_path / "both" / "random" / "train.jsonl")[0]["id"] == "d1"
    assert lines(tmp_path / "both" / ARM / "train.jsonl")[0]["id"] == "d0"
    export(run, tmp_path / "both", "--arm", "random", "--force")
    assert lines(tmp_path / "both" / "train.jsonl")[0]["id"] == "d1"
    assert not (tmp_path / "both" / "random").exists()


@pytest.mark.parametrize(
    ("form", "there", "missing"),
    [
        ("llava", {"train.jsonl", "images", "dataset_info.json"}, {"data"}),
        ("parquet", {"data"}, {"train.jsonl", "images"}),
    ],
)
def test_one_form_alone_has_nothing_of_the_other(
    run: RestingRun, tmp_path: Path, form: str, there: set[str], missing: set[str]
):
    export(run, tmp_path / "set", "--format", form)
    names = {path.name for path in (tmp_path / "set").iterdir()}
    assert there | {"README.md", "lineage.jsonl", "dropped.jsonl", "export.json"} <= names
    assert not missing & names


def test_a_dataset_is_exported_by_its_uri_too(run: RestingRun, tmp_path: Path):
    uri = run.store.results("run")[0].uri
    export(run, tmp_path / "set", "--in", str(run.out), source=uri)
    assert {row["id"] for row in lines(tmp_path / "set" / "train.jsonl")} == {"d0", "d1", "replay/item-0"}


def test_each_file_can_be_checked_by_what_the_export_says_of_it(run: RestingRun, tmp_path: Path):
    export(run, tmp_path / "set")
    files = content_of(tmp_path / "set")
    said = json.loads(files.pop("export.json"))["sha256"]
    assert said == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def test_what_lies_there_already_is_left_alone(run: RestingRun, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    for options in ((), ("--force",)):
        assert export(run, tmp_path / "mine", *options, code=1)["error"]["field"] == "out"
    assert content_of(tmp_path / "mine") == {"notes.txt": b"keep"}


def test_an_earlier_export_is_replaced_on_demand_alone(run: RestingRun, tmp_path: Path):
    export(run, tmp_path / "set", "--round", "0")
    before = content_of(tmp_path / "set")
    export(run, tmp_path / "set", code=1)
    assert content_of(tmp_path / "set") == before
    export(run, tmp_path / "set", "--force")
    assert {row["id"] for row in lines(tmp_path / "set" / "train.jsonl")} == {"d2", "replay/item-0"}


def test_a_link_in_the_place_of_the_folder_is_not_followed(run: RestingRun, tmp_path: Path):
    export(run, tmp_path / "set")
    before = content_of(tmp_path / "set")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    assert export(run, tmp_path / "link", "--force", code=1)["error"]["field"] == "out"
    assert content_of(tmp_path / "set") == before


def test_a_damaged_image_leaves_no_folder(run: RestingRun, tmp_path: Path):
    image = object_file(run.out / "state", run.decision(2).image_uri)
    image.chmod(0o644)
    image.write_bytes(b"damaged")
    assert export(run, tmp_path / "set", code=1)["error"]["reason"] == "DATA_LOSS"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_manifest_that_is_not_what_the_uri_names_is_refused(run: RestingRun, tmp_path: Path):
    uri = run.store.results("run")[-1].uri
    other = object_file(run.out / "state", run.store.results("run")[0].uri).read_bytes()
    place = object_file(run.out / "state", uri)
    place.chmod(0o644)
    place.write_bytes(other)
    assert export(run, tmp_path / "set", code=1)["error"]["reason"] == "DATA_LOSS"
    assert digest_of(uri) not in {hashlib.sha256(other).hexdigest()}


def test_the_manifest_comes_alone_and_its_digest_is_the_uri(run: RestingRun):
    uri = run.store.results("run")[0].uri
    with resting(run.out / "state") as targets, Channels(targets) as channels:
        stub = OperationsServiceStub(channels["controller"])
        pieces = list(stub.DownloadDataset(pb.DownloadDatasetRequest(uri=uri, is_manifest_only=True)))
        assert {piece.file_name for piece in pieces} == {""}
        assert hashlib.sha256(b"".join(piece.chunk for piece in pieces)).hexdigest() == digest_of(uri)
        request = pb.DownloadDatasetRequest(uri=uri, is_manifest_only=True, file_names=["train.jsonl"])
        with pytest.raises(grpc.RpcError) as refused:
            list(stub.DownloadDataset(request))
    assert from_rpc_error(refused.value).field == "file_names"


def test_a_round_that_is_not_there_is_told(run: RestingRun, tmp_path: Path):
    error = export(run, tmp_path / "set", "--round", "7", code=1)["error"]
    assert (error["reason"], error["value"]) == ("NOT_FOUND", "run round 7")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("form", ["all", "parquet", "llava"])
def test_hugging_face_datasets_reads_the_folder_unchanged(run: RestingRun, tmp_path: Path, form: str):
    export(run, tmp_path / "set", "--joined", "--format", form)
    loaded = datasets.load_dataset(str(tmp_path / "set"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["id"] == ["d0", "d1", "replay/item-0", "d2"]
    first = loaded[0]
    assert first["conversations"][1] == {"from": "gpt", "value": "A"}
    if form != "llava":
        assert first["image"].size == (4, 4)
        assert first["image"].getpixel((0, 0)) == 10
