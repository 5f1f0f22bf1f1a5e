"""Runs that are killed again and again; each time the same command goes on."""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc

from medq.controller.v1 import controller_pb2
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from shared.rpc.channels import Channels
from shared.settings import socket_targets
from tests.support.finished_run import MEDQ
from tests.support.kill_points import kill_at_new_boundary
from tests.support.medq_processes import Ended, run_medq

KILLED = -signal.SIGKILL
_TRAINING = "services.training.job"
_TOLD_OF_LOG = 6000


@dataclass(frozen=True)
class Chain:
    """Processes that were killed one after the other, and one that came to the end.

    Attributes:
        out: The folder that they worked on.
        n_kills: How many were killed.
        boundaries: Where, if that was chosen.
        status: What `medq status --json` said of the run while it lay there killed, if it was asked.
    """

    out: Path
    n_kills: int
    boundaries: tuple[str, ...] = ()
    status: dict[str, Any] | None = None


def kill_at_boundaries(config: Path, folder: Path, share: int, n_shares: int) -> Chain:
    """Kill each process at the first boundary of a share of all that the ones before did not reach."""
    done = folder / "boundaries"
    prepare = functools.partial(kill_at_new_boundary, share, n_shares, done)
    while (ended := run_medq(*_command(config, folder), prepare=prepare)).code == KILLED:
        pass
    _assert_done(ended, folder)
    boundaries = tuple(done.read_text(encoding="utf-8").splitlines())
    return Chain(folder / "out", len(boundaries), boundaries)


def kill_at_random(config: Path, folder: Path, kill: Callable[[int], None], moments: Sequence[int]) -> Chain:
    """Kill each process at a moment of its own, by `kill_after` or `kill_at_cost`, then let one end."""
    prepare = [functools.partial(kill, moment) for moment in moments]
    codes = [run_medq(*_command(config, folder), prepare=one).code for one in prepare]
    assert set(codes) <= {KILLED, 0}
    assert codes[0] == KILLED
    return _to_the_end(config, folder, codes.count(KILLED))


def kill_from_outside(config: Path, folder: Path) -> Chain:
    """Kill the command as a user starts it, while it trains; the training must not outlive it."""
    command = [MEDQ, *_command(config, folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        exit_of_training = os.pidfd_open(_await_training(process, folder / "out"))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == KILLED
        assert select.select([exit_of_training], [], [], 30)[0], "the training outlived its parent"
        os.close(exit_of_training)
    asked = run_medq("status", "--out", folder / "out", "--json")
    (status,) = json.loads(asked.out)["runs"]
    return replace(_to_the_end(config, folder, 1), status=status)


def _command(config: Path, folder: Path) -> list[object]:
    return ["run", "--config", config, "--out", folder / "out"]


def _to_the_end(config: Path, folder: Path, n_kills: int) -> Chain:
    _assert_done(run_medq(*_command(config, folder)), folder)
    return Chain(folder / "out", n_kills)


def _assert_done(ended: Ended, folder: Path) -> None:
    """Whether the last command of a chain came to its end; else all that it left is told, for it may have died without a word."""
    log = (folder / "out" / "medq.log").read_text(encoding="utf-8", errors="replace")
    assert ended.code == 0, f"exit code {ended.code}\n{ended.err}\nthe end of its log:\n{log[-_TOLD_OF_LOG:]}"


def _await_training(process: subprocess.Popen, out: Path) -> int:
    """The process id of the training, once the run has come to it."""
    with Channels(socket_targets(out / "state")) as channels:
        grpc.channel_ready_future(channels["controller"]).result(timeout=120)
        stub = ControllerServiceStub(channels["controller"])
        while process.poll() is None:
            found = stub.ListRuns(controller_pb2.ListRunsRequest()).runs
            trainings = [child for child in _children_of(process.pid) if _TRAINING in _command_of(child)]
            if found and found[0].step == "train" and trainings:
                return trainings[0]
    raise AssertionError("the run ended before it trained")


def _children_of(pid: int) -> list[int]:
    """Process ids of the living children of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += [int(child) for child in task.read_text().split()]
    return found


def _command_of(pid: int) -> list[str]:
    """The command line of a process; empty where it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []
