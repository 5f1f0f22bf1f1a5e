"""What a user gets wrong, through the command line: a message with its remedy and an exit code, before anything is spent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from tests.support.medq_processes import Ended
from tests.support.tiny_study import write_config

pytestmark = pytest.mark.timeout(240)
Medq = Callable[..., Ended]


@pytest.fixture
def own(study: Path, tmp_path: Path) -> Path:
    """A copy of the study to spoil."""
    return Path(shutil.copytree(study, tmp_path / "own"))


def refused(medq: Medq, config: Path, out: Path) -> tuple[int, str, dict]:
    """Exit code, what a person was told, and the error as JSON; nothing was spent."""
    ended = medq("run", "--config", config, "--out", out, "--json")
    assert not (out / "report.json").exists()
    assert not [path for path in (out / "state" / "objects").rglob("*") if path.is_file()]
    return ended.code, ended.err, json.loads(ended.out)["error"]


def test_a_misspelt_key_gets_a_suggestion(medq: Medq, own: Path, tmp_path: Path):
    config = write_config(own / "run.yaml", rouns=2, select={"budgt": 6})
    code, told, error = refused(medq, config, tmp_path / "out")
    assert (code, error["reason"]) == (2, "INVALID_ARGUMENT")
    assert "`rounds`" in told
    assert "`budget`" in told
    assert "`" in error["remedy"]


def test_an_unknown_key_gets_the_known_ones(medq: Medq, own: Path, tmp_path: Path):
    config = write_config(own / "run.yaml", wormhole=True)
    code, _, error = refused(medq, config, tmp_path / "out")
    assert code == 2
    assert error["field"] == "wormhole"
    assert "rounds" in error["remedy"]


def test_an_empty_pool(medq: Medq, own: Path, tmp_path: Path):
    shutil.rmtree(own / "pool")
    (own / "pool").mkdir()
    code, _, error = refused(medq, own / "run.yaml", tmp_path / "out")
    assert (code, error["field"]) == (2, "data.pool")
    assert error["remedy"]


def test_a_table_without_an_answer_column(medq: Medq, own: Path, tmp_path: Path):
    text = (own / "dev.tsv").read_text(encoding="utf-8")
    (own / "dev.tsv").write_text(text.replace("\tanswer\t", "\tnote\t", 1), encoding="utf-8")
    code, told, error = refused(medq, own / "run.yaml", tmp_path / "out")
    assert (code, error["field"]) == (2, "data.dev")
    assert "answer" in told
    assert "MedQ-Bench" in error["remedy"]


def test_a_checkpoint_without_weights(medq: Medq, own: Path, tmp_path: Path):
    (own / "base-model" / "model" / "model.safetensors").unlink()
    code, _, error = refused(medq, own / "run.yaml", tmp_path / "out")
    assert (code, error["field"]) == (2, "model")
    assert "weights" in error["remedy"]


def test_every_problem_is_told_at_once(medq: Medq, own: Path, tmp_path: Path):
    (own / "base-model" / "model" / "model.safetensors").unlink()
    (own / "test.tsv").unlink()
    _, told, error = refused(medq, own / "run.yaml", tmp_path / "out")
    assert "2 problems" in error["message"]
    assert "test.tsv" in told.replace("\n", "")


def test_broken_images_are_rows_of_a_report_and_the_rest_is_taken_in(medq: Medq, tmp_path: Path):
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(5)
    for number in range(3):
        Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)).save(folder / f"good-{number}.png")
    (folder / "notes.png").write_text("this is no picture", encoding="utf-8")
    whole = Path(get_testdata_file("CT_small.dcm")).read_bytes()
    (folder / "whole.dcm").write_bytes(whole)
    (folder / "truncated.dcm").write_bytes(whole[: len(whole) // 2])

    ended = medq("ingest", folder, "--out", tmp_path / "out", "--json")

    told = json.loads(ended.out)
    assert ended.code == 3, ended.err
    rejected = {row["name"]: row for row in told["refused"]}
    assert set(rejected) == {"notes.png", "truncated.dcm"}
    assert all(row["reason"] and row["remedy"] for row in rejected.values())
    assert told["counts"]["stored"] == 4
