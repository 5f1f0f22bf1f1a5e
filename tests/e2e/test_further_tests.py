"""A run with a further test, over the real services: it is answered as test is, and changes nothing else."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from shared.objects.dataset import read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.selection import Sample
from studies.real_slice import FURTHER_TESTS, write_real_slice
from tests.support.finished_run import read_report
from tests.support.medq_processes import run_medq
from tests.support.tiny_study import write_config

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]


def drawn(out: Path) -> list[Sample]:
    (uri,) = (one["uri"] for one in read_report(out)["measured"]["steps"] if one["step"] == "select_samples")
    return read_rows(FolderObjectStore(out / "state" / "objects"), uri, Sample)


def test_a_further_test_is_answered_as_test_is_and_changes_nothing(
    study: Path, tmp_path: Path, pool: ProcessPoolExecutor
) -> None:
    data = {name: f"{name}.tsv" for name in ("pool_answers", "dev", "test", "replay")}
    data |= {"pool": "pool", "simulated_images": "The images are phantoms."}
    write_real_slice(study, size=64)
    running = []
    for name, further in (("with", {"again": "test.tsv", **FURTHER_TESTS}), ("without", {})):
        config = write_config(study / f"{name}-further.yaml", rounds=1, data={**data, "further_tests": further})
        running.append(pool.submit(run_medq, "run", "--config", config, "--out", tmp_path / name, "--json"))
    for ended in running:
        assert ended.result().code == 0, ended.result().err
    reports = {name: read_report(tmp_path / name) for name in ("with", "without")}
    again, real = reports["with"]["further_tests"]
    assert (real["name"], real["set"]["n_sources"]) == ("real", 6)
    assert reports["without"]["further_tests"] == []
    for name, arm in reports["with"]["arms"].items():
        assert [one["scores"] for one in again["arms"][name]] == [one["test"] for one in arm["rounds"]]
    assert reports["with"]["arms"] == reports["without"]["arms"]
    assert drawn(tmp_path / "with") == drawn(tmp_path / "without") != []
