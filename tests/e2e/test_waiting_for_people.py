"""A run waits for experts: its process is killed, the decisions come from a file, and the same command goes on."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.medq_processes import Ended
from tests.support.tiny_study import MAX_IN_FLIGHT, write_config

pytestmark = pytest.mark.timeout(900)
MEDQ = [sys.executable, "-m", "cli.main"]


@pytest.fixture
def config(study: Path) -> Path:
    return write_config(
        study / "people.yaml",
        model="base-model/model",
        rounds=1,
        annotate={"oracle": "simulated", "expert": "review", "max_in_flight": MAX_IN_FLIGHT},
    )


def read(folder: Path, medq: Callable[..., Ended], *arguments: object) -> Any:
    ended = medq(*arguments, "--out", folder, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def run_until_it_waits(config: Path, out: Path) -> None:
    """Run in a process of its own and kill it, with all that it started, once it says that it waits for experts."""
    command = [*MEDQ, "run", "--config", str(config), "--out", str(out), "--yes"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if "The run waits for experts" in line:
                break
        else:
            raise AssertionError("".join(told))
        os.killpg(process.pid, signal.SIGKILL)


def test_a_run_that_was_killed_while_it_waits_goes_on_with_what_people_decided(
    config: Path, medq: Callable[..., Ended], tmp_path: Path
) -> None:
    out, file = tmp_path / "out", tmp_path / "reviews.csv"
    run_until_it_waits(config, out)
    n_tasks = read(out, medq, "review", "export", "--to", file, "--images", tmp_path / "pictures")["tasks"]
    assert n_tasks > 0
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        assert (tmp_path / row["image"]).read_bytes().startswith(b"\x89PNG")
        row |= {"action": "accept", "active_seconds": "11.5", "reviewer": "ann"}
    rows[0] |= {"action": "reject", "reason": "Not an image of a patient."}
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    assert read(out, medq, "review", "import", file)["counts"]["decided"] == n_tasks
    report = read(out, medq, "run", "--config", config)
    assert report["is_complete"]
    (arm,) = report["arms"].values()
    annotation = arm["rounds"][0]["annotation"]
    assert annotation["actions"] == {"accept": n_tasks - 1}
    assert annotation["unanswered"] == {"the expert rejected it": 1}
    assert "expert" not in {part["part"] for part in report["simulated"]}
