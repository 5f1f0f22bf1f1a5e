"""Starts and stops the processes of a deployment, and knows them by the notes in its folder.

What runs as it should is left as it is; a process whose settings changed, or that has ended, is started again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from infra.dev.deployment import Deployment, Process
from infra.dev.stores import ensure_database, wipe_stores
from services.migrate import MigrateSettings
from shared.settings import environment_of

REPOSITORY = Path(__file__).parents[2]
_START_SECONDS = 120.0
#: A little more than a service takes to drain.
_DRAIN_SECONDS = 40.0
_LOOK_SECONDS = 0.1
_LOG_LINES = 20
_LINE_LENGTH = 400


class NotStartedError(Exception):
    """A process did not come up; the text says which, and how its log ends."""


def up(deployment: Deployment) -> None:
    """Migrate the database, start what does not run, and wait until every process answers.

    Raises:
        NotStartedError: One ended, or did not answer in time; the others go on.
    """
    deployment.folder.mkdir(parents=True, exist_ok=True)
    migrate(deployment)
    start(deployment.folder, deployment.processes())


def migrate(deployment: Deployment) -> None:
    """Make the database and its tables.

    Raises:
        NotStartedError: The migrations failed.
    """
    ensure_database(deployment)
    environment = os.environ | environment_of(MigrateSettings, database_url=deployment.database_url)
    command = [sys.executable, "-m", "services.migrate"]
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise NotStartedError(f"The migrations failed:\n{_tail(ended.stderr)}")


def start(folder: Path, processes: Sequence[Process]) -> None:
    """Have just these processes run, and wait until each answers.

    Raises:
        NotStartedError: One ended, or did not answer in time; the others go on.
    """
    wanted = {process.name: process for process in processes}
    _stop(folder, [name for name, told in _noted(folder).items() if not _is_as_wanted(wanted.get(name), told)])
    running = _noted(folder)
    started = {name: _start(folder, process) for name, process in wanted.items() if name not in running}
    for name, process in wanted.items():
        _await_health(folder, process, started.get(name))


def down(folder: Path, deployment: Deployment | None = None) -> None:
    """Stop every process that was started from a folder: the controller first, each drains, what does not end is killed.

    Args:
        folder: Where they were started.
        deployment: Also drop its database, its bucket, its topics and its state; None: keep them.
    """
    names = sorted(_noted(folder))
    _stop(folder, [name for name in names if name.startswith("controller")])
    _stop(folder, names)
    for path in folder.glob(_note_of(folder, "*-*").name):  # also of what had ended by itself
        path.unlink()
    if deployment is not None:
        wipe_stores(deployment)
        shutil.rmtree(folder / "state", ignore_errors=True)


def log_of(folder: Path, name: str) -> Path:
    """Where a process writes its log."""
    return folder / f"{name}.log"


def pid_of(folder: Path, name: str) -> int | None:
    """The process id of one that runs, or None."""
    told = _noted(folder).get(name)
    return told["pid"] if told else None


def _start(folder: Path, process: Process) -> subprocess.Popen[bytes]:
    environment = {"OMP_NUM_THREADS": "1", **os.environ, **process.environment}
    with log_of(folder, process.name).open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", process.module],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C in the terminal of `make up` is not theirs.
            start_new_session=True,
        )
    note = {"pid": started.pid, "module": process.module, "environment": dict(process.environment)}
    path = _note_of(folder, process.name)
    path.touch(mode=0o600)  # it holds the key of the object store
    path.write_text(json.dumps(note, indent=1), encoding="utf-8")
    return started


def _await_health(folder: Path, process: Process, started: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with grpc.insecure_channel(process.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < deadline and (started is None or started.poll() is None):
            with suppress(grpc.RpcError):
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            time.sleep(_LOOK_SECONDS)
    path = log_of(folder, process.name)
    why = "does not answer" if started is None or started.poll() is None else "ended"
    raise NotStartedError(
        f"{process.name} {why}; {path} ends with:\n{_tail(path.read_text(encoding='utf-8', errors='replace'))}"
    )


def _stop(folder: Path, names: list[str]) -> None:
    for name in names:
        _signal(folder, name, SIGTERM)
    deadline = time.monotonic() + _DRAIN_SECONDS
    while set(names) & set(_noted(folder)) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    for name in names:
        _signal(folder, name, SIGKILL)
        _note_of(folder, name).unlink(missing_ok=True)


def _signal(folder: Path, name: str, number: Signals) -> None:
    pid = pid_of(folder, name)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _noted(folder: Path) -> dict[str, dict[str, Any]]:
    """What runs of what was started from a folder, by name."""
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob(_note_of(folder, "*-*").name)
    }
    return {name: told for name, told in found.items() if _runs(told["pid"], told["module"])}


def _note_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _runs(pid: int, module: str) -> bool:
    """Whether a process is there, has not ended, and is the one that was started: ids are used again."""
    asked = ["ps", "-o", "stat=,command=", "-p", str(pid)]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return f"-m {module}" in told and not told.lstrip().startswith("Z")


def _is_as_wanted(process: Process | None, told: dict[str, Any]) -> bool:
    return process is not None and dict(process.environment) == told["environment"]


def _tail(text: str) -> str:
    return "\n".join(line[:_LINE_LENGTH] for line in text.splitlines()[-_LOG_LINES:])
