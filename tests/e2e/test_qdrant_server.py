"""A run whose vectors lie on a real Qdrant server."""

from __future__ import annotations

import functools
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.finished_run import OneTurn, lasting
from tests.support.medq_processes import run_medq, set_environment


@pytest.mark.timeout(240)
def test_the_report_is_that_of_a_run_with_its_index_in_process(
    qdrant: str, turn: OneTurn, study: Path, pool: ProcessPoolExecutor, tmp_path: Path
) -> None:
    names = {
        "URL": qdrant,
        "COLLECTION": f"medq-{uuid4().hex}",
        "API_KEY": os.environ.get("MEDQ_TEST_QDRANT_API_KEY", ""),
    }
    variables = {f"MEDQ_RETRIEVAL_INDEX__{name}": value for name, value in names.items()}
    there = functools.partial(set_environment, variables)
    command = ("run", "--config", study / "run.yaml", "--out", tmp_path / "out")
    ended = pool.submit(run_medq, *command, prepare=there).result()
    assert ended.code == 0, ended.err
    assert lasting(tmp_path / "out") == lasting(turn.out)
    assert (tmp_path / "out" / "answers.jsonl").read_bytes() == (turn.out / "answers.jsonl").read_bytes()
