"""A run of the tiny study by the command `medq` against a world, watched step by step while a case does its harm."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from medq.controller.v1 import controller_pb2
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from tests.faults.world import World
from tests.support.finished_run import MEDQ, RUN

_LOOK_SECONDS = 0.05
_MOST_REPEATS = 10
_MOST_SECONDS = 1500


@dataclass(frozen=True)
class Step:
    """Where a run is; `number` counts the steps from 0 as they are seen."""

    number: int
    arm: str
    round: int
    name: str


@dataclass(frozen=True)
class Run:
    """How a run ended.

    Attributes:
        out: Its output folder.
        code: The last exit code of the command.
        failures: How the command ended, each time that it ended with another code than 0 and was given again.
    """

    out: Path
    code: int
    failures: tuple[str, ...]


def run_watched(world: World, config: Path, out: Path, at_step: Callable[[Step], None]) -> Run:
    """Run to the end, as a person would: where the command ends with an error, it is given again.

    Args:
        world: Where.
        config: The run's YAML.
        out: Output folder.
        at_step: Called at each new step, in a thread of its own; it may take its time.
    """
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(world, at_step, ended))
    watcher.start()
    command = [MEDQ, "run", "--config", config, "--out", out, "--server", world.targets["controller"]]
    try:
        failures: list[str] = []
        while (done := _medq(command)).returncode != 0:
            failures.append(f"exit {done.returncode}: {done.stderr.strip()[-400:]}")
            if len(failures) > _MOST_REPEATS:
                break
    finally:
        ended.set()
        watcher.join()
    return Run(out, done.returncode, tuple(failures))


def _medq(command: list[object]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=_MOST_SECONDS, check=False)


def _watch(world: World, at_step: Callable[[Step], None], ended: threading.Event) -> None:
    stub = ControllerServiceStub(world.channels["controller"])
    seen: set[tuple[str, int, str]] = set()
    while not ended.wait(_LOOK_SECONDS):
        try:
            run = stub.GetRun(controller_pb2.GetRunRequest(run_id=RUN), timeout=5).run
        except grpc.RpcError:  # it is down, or the run has not begun
            continue
        at = (run.arm, run.round, run.step)
        if run.step and at not in seen:
            seen.add(at)
            at_step(Step(len(seen) - 1, *at))
