"""An encoder with weights through the command line: a run that names one, and a pool that is moved to it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.support.encoder_folders import save_open_clip
from tests.support.medq_processes import Ended, run_medq
from tests.support.pictures import write_pool
from tests.support.tiny_study import write_config

pytestmark = pytest.mark.timeout(400)
Medq = Callable[..., Ended]


@pytest.fixture(scope="module")
def medq(pool: ProcessPoolExecutor, tmp_path_factory: pytest.TempPathFactory) -> Medq:
    """`medq` at a site with an encoder that is called tiny."""
    folder = save_open_clip(tmp_path_factory.mktemp("encoders") / "tiny")
    return lambda *arguments: pool.submit(run_medq, *arguments, prepare=partial(_name_encoder, folder)).result()


def _name_encoder(folder: Path) -> None:
    os.environ["MEDQ_EMBEDDING_ENCODERS"] = json.dumps({"tiny": str(folder)})


def test_a_pool_is_moved_to_another_encoder(medq: Medq, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = json.loads(medq("ingest", write_pool(tmp_path / "pool", 5), "--out", out, "--json").out)
    again = ("reembed", first["image_set_uri"], "--encoder", "tiny", "--out", out, "--json")
    beside = json.loads(medq(*again).out)
    assert beside["encoder_id"].startswith("tiny-")
    assert beside["serving_encoder_id"].startswith("statistics-")
    after = json.loads(medq(*again, "--switch").out)
    assert after == beside | {"serving_encoder_id": beside["encoder_id"]}
    ended = medq("reembed", first["image_set_uri"], "--encoder", "none", "--out", out, "--json")
    assert ended.code == 1
    assert "statistics, tiny" in json.loads(ended.out)["error"]["remedy"]


def test_a_run_embeds_everything_with_the_encoder_that_it_names(medq: Medq, study: Path, tmp_path: Path) -> None:
    config = write_config(study / "with-encoder.yaml", encoder="tiny", rounds=0)
    ended = medq("run", "--config", config, "--out", tmp_path / "out", "--json")
    assert ended.code in (0, 3), ended.out
    files = [path for path in (tmp_path / "out" / "state" / "objects").rglob("*") if path.is_file()]
    manifests = [path.read_bytes() for path in files if b'"kind":"image-set"' in path.read_bytes().replace(b": ", b":")]
    found = [json.loads(manifest)["configuration"]["encoder_id"] for manifest in manifests]
    assert len(found) == 4
    (encoder_id,) = set(found)
    assert encoder_id.startswith("tiny-")
