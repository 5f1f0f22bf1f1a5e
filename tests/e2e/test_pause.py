"""A run is paused in the middle, killed while it is paused, and goes on: what it leaves is what an undisturbed run leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.finished_run import RUN, OneTurn, Remembered, lasting, remembered
from tests.support.medq_processes import Ended

pytestmark = pytest.mark.timeout(900)
MEDQ = [sys.executable, "-m", "cli.main"]


@contextmanager
def running(config: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    """The run as a process of its own; what it leaves is killed with all that it started."""
    command = [*MEDQ, "run", "--config", str(config), "--out", str(out), "--yes"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line)
        if text in line:
            return
    raise AssertionError("".join(told))


def ask(medq: Callable[..., Ended], out: Path, *arguments: object) -> Any:
    ended = medq(*arguments, "--out", out, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def entries(remembered: Remembered) -> list[tuple[str, int, str]]:
    return sorted((one.cost.key, one.attempt, one.state) for one in remembered.costs)


def test_a_run_that_was_paused_and_killed_leaves_what_an_undisturbed_run_leaves(
    turn: OneTurn, study: Path, medq: Callable[..., Ended], pool: ProcessPoolExecutor, tmp_path: Path
) -> None:
    config, out = study / "run.yaml", tmp_path / "out"
    with running(config, out) as process:
        read_until(process, "failure contrast, round 0")  # whichever of its steps is seen first
        assert ask(medq, out, "pause", RUN)["run"]["is_pause_asked"]
        read_until(process, "The run is paused")
        (status,) = ask(medq, out, "status")["runs"]
        assert (status["state"], status["operation_id"]) == ("paused", "")
    assert medq("resume", RUN, "--out", out).code == 1  # no process works on it
    (status,) = ask(medq, out, "status")["runs"]
    assert (status["state"], status["is_pause_asked"]) == ("stopped", True)
    with running(config, out) as process:
        read_until(process, "The run is paused")
        assert not ask(medq, out, "resume", RUN)["run"]["is_pause_asked"]
        assert process.stderr is not None
        told = process.stderr.read()
        assert process.wait() == 0, told
    assert lasting(out) == lasting(turn.out)
    assert (out / "answers.jsonl").read_bytes() == (turn.out / "answers.jsonl").read_bytes()
    calm, after = remembered(turn.out, pool), remembered(out, pool)
    assert after.decisions == calm.decisions
    assert entries(after) == entries(calm)
