"""`make up` as it stands: the six services as processes on real Kafka, S3 and PostgreSQL, two of embedding and of evaluation."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from infra.dev.processes import log_of, pid_of
from shared.settings import SERVICES
from tests.support.finished_run import MEDQ, OneTurn, lasting
from tests.support.medq_processes import Ended
from tests.support.ports import OF_A_DEPLOYMENT, free_port

pytestmark = pytest.mark.timeout(500)
REPLICAS = {"embedding": 2, "evaluation": 2}
NAMES = [f"{name}-{number}" for name in SERVICES for number in range(1, REPLICAS.get(name, 1) + 1)]


@dataclass(frozen=True)
class Up:
    """What was started.

    Attributes:
        folder: Logs and process ids.
        options: Of both commands.
        server: The controller's address.
    """

    folder: Path
    options: tuple[str, ...]
    server: str

    def command(self, verb: str, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "infra.dev", verb, *self.options, *more]
        return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)

    def start(self, **environment: str) -> subprocess.CompletedProcess[str]:
        replicas = [f"--{name}={number}" for name, number in REPLICAS.items()]
        return self.command("up", *replicas, **environment)

    def pids(self) -> dict[str, int | None]:
        return {name: pid_of(self.folder, name) for name in NAMES}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, kafka: str, s3: str, postgres: str) -> Iterator[Up]:
    folder, port = tmp_path_factory.mktemp("up"), free_port(OF_A_DEPLOYMENT)
    servers = (f"--kafka={kafka}", f"--s3={s3}", f"--postgres={postgres}")
    named = (f"--folder={folder}", f"--name=medq-{uuid4().hex[:8]}", f"--port={port}")
    up = Up(folder, (*named, *servers), f"127.0.0.1:{port}")
    try:
        started = up.start()
        assert started.returncode == 0, started.stderr
        yield up
    finally:
        up.command("down", "--wipe")


@pytest.fixture(scope="module")
def out(services: Up, study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run on them."""
    folder = tmp_path_factory.mktemp("remote") / "out"
    _medq("run", "--config", study / "run.yaml", "--out", folder, "--server", services.server)
    return folder


def test_every_service_is_a_process_that_answers(services: Up):
    assert all(services.pids().values())
    assert json.loads(_medq("status", "--out", services.folder, "--server", services.server)) == {"runs": []}


def test_evaluations_were_answered_in_shards(out: Path):
    steps = json.loads((out / "report.json").read_text(encoding="utf-8"))["measured"]["steps"]
    shards = [step["step"] for step in steps if step["step"].startswith("evaluate_dev.")]
    assert sorted(set(shards)) == ["evaluate_dev.0", "evaluate_dev.1"]


def test_the_report_is_that_of_the_embedded_run(out: Path, turn: OneTurn):
    """Byte for byte, outside `measured`; and so is every answer."""
    assert lasting(out) == lasting(turn.out)
    assert (out / "answers.jsonl").read_bytes() == (turn.out / "answers.jsonl").read_bytes()


def test_status_and_report_ask_the_server(out: Path, services: Up, tmp_path: Path):
    (run,) = json.loads(_medq("status", "--out", tmp_path, "--server", services.server))["runs"]
    assert (run["run_id"], run["state"]) == ("run", "succeeded")
    _medq("report", "--out", tmp_path, "--server", services.server)
    assert (tmp_path / "report.html").read_bytes() == (out / "report.html").read_bytes()


def test_images_and_a_model_are_taken_in_by_the_server_as_embedded(
    services: Up, study: Path, tmp_path: Path, medq: Callable[..., Ended]
):
    here, there = tmp_path / "here", tmp_path / "there"
    images = shutil.copytree(study / "pool", tmp_path / "pool")
    (images / "notes.png").write_text("This is no picture.", encoding="utf-8")
    ingest = ("ingest", images, "--out")
    assert medq(*ingest, here).code == 3
    _medq(*ingest, there, "--server", services.server, code=3)
    evaluate = ("evaluate", "--model", study / "base-model" / "model", "--items", study / "test.tsv", "--out")
    assert medq(*evaluate, here, "--max-new-tokens", 2).code == 0
    _medq(*evaluate, there, "--max-new-tokens", 2, "--server", services.server)
    for name in ("ingest/images.jsonl", "ingest/report.jsonl", "scores.json", "answers.jsonl"):
        assert (there / name).read_bytes() == (here / name).read_bytes(), name


def test_what_has_gone_is_started_again_and_what_does_not_start_shows_the_end_of_its_log(out: Path, services: Up):
    before = services.pids()
    os.kill(before["oracle-1"] or 0, signal.SIGKILL)
    failed = services.start(MEDQ_ORACLE_THREADS="none")
    assert failed.returncode == 1
    assert "oracle-1 ended" in failed.stderr
    assert "threads" in failed.stderr
    again = services.start()
    assert again.returncode == 0, again.stderr
    after = services.pids()
    assert after["oracle-1"] not in (None, before["oracle-1"])
    assert {**after, "oracle-1": before["oracle-1"]} == before


def test_down_ends_every_process_after_it_has_drained(out: Path, services: Up):
    assert services.command("down").returncode == 0
    assert set(services.pids().values()) == {None}
    for name in NAMES:
        assert '"event": "drained"' in log_of(services.folder, name).read_text(encoding="utf-8"), name


def _medq(*arguments: object, code: int = 0) -> str:
    """Run the installed command; what it prints."""
    command = [MEDQ, *map(str, arguments), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr + ended.stdout
    return ended.stdout
