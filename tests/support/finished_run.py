"""A run by the installed command, and what it and its services remember of it afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import grpc

from medq.controller.v1 import controller_pb2 as controller_pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from medq.operations.v1 import operations_pb2 as operations_pb
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from shared.rpc.channels import Channels
from shared.rpc.operations import find
from shared.settings import socket_targets
from tests.support.medq_processes import Ended, medq_at_work
from tests.support.tiny_study import N_ROUNDS

MEDQ = Path(sys.executable).with_name("medq")
RUN = "run"
ARM = "failure_contrast"
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class OneTurn:
    """What a run that nobody disturbed left.

    Attributes:
        out: Its output folder.
        code: Its exit code.
        printed: What it wrote to standard output.
        statuses: What `medq status --json` said of the run while it went, in order.
    """

    out: Path
    code: int
    printed: str
    statuses: list[dict[str, Any]]

    @property
    def report(self) -> dict[str, Any]:
        return read_report(self.out)


def one_turn(config: Path, out: Path, medq: Callable[..., Ended], until_step: str = "train") -> OneTurn:
    """Run to the end by the installed command, and ask `medq` for the status meanwhile, until it tells of a step."""
    statuses: list[dict[str, Any]] = []
    command = [MEDQ, "run", "--config", config, "--out", out, "--json"]
    with tempfile.TemporaryFile("w+") as stdout, subprocess.Popen(command, stdout=stdout) as process:
        while process.poll() is None and not any(status["step"] == until_step for status in statuses):
            asked = medq("status", "--out", out, "--json")
            if asked.code == 0:
                statuses += json.loads(asked.out)["runs"]
            with suppress(subprocess.TimeoutExpired):
                process.wait(_PAUSE_SECONDS)  # leaves the core to the run
        process.wait()
        stdout.seek(0)
        printed = stdout.read()
    return OneTurn(out, process.returncode, printed, statuses)


def read_report(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return report


def read_answers(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


def lasting(out: Path) -> str:
    """`report.json` without its block `measured`, as text: line by line what the file holds, but for that block."""
    lines = (out / "report.json").read_text(encoding="utf-8").splitlines()
    start = lines.index('  "measured": {')
    end = next(number for number in range(start, len(lines)) if lines[number] in ("  },", "  }"))
    return "\n".join(lines[:start] + lines[end + 1 :])


@dataclass(frozen=True)
class Remembered:
    """What the services remember of a run.

    Attributes:
        decisions: `decisions.jsonl` of each round, from 0.
        costs: The ledger, every entry.
    """

    decisions: list[bytes]
    costs: list[controller_pb.LedgerEntry]


def remembered(out: Path, pool: ProcessPoolExecutor, n_rounds: int = N_ROUNDS) -> Remembered:
    """Ask the services of a folder that no command works on now."""
    with medq_at_work(pool, "serve", "--out", out), Channels(socket_targets(out / "state")) as channels:
        grpc.channel_ready_future(channels["controller"]).result(timeout=60)
        return ask(channels, n_rounds)


def remembered_costs(out: Path, pool: ProcessPoolExecutor) -> list[controller_pb.LedgerEntry]:
    """The ledger of a folder that no command works on now."""
    with medq_at_work(pool, "serve", "--out", out), Channels(socket_targets(out / "state")) as channels:
        grpc.channel_ready_future(channels["controller"]).result(timeout=60)
        return ledger_of(channels["controller"])


def ask(channels: Channels, n_rounds: int = N_ROUNDS, arm: str = ARM) -> Remembered:
    """Ask the services."""
    decisions = [_decisions(channels["oracle"], arm, number) for number in range(n_rounds)]
    return Remembered(decisions, ledger_of(channels["controller"]))


def ledger_of(controller: grpc.Channel) -> list[controller_pb.LedgerEntry]:
    """Every entry of the ledger of the run."""
    stub, entries, token = ControllerServiceStub(controller), [], ""
    while True:
        page = stub.ListCosts(controller_pb.ListCostsRequest(run_id=RUN, page_token=token))
        entries += page.entries
        token = page.next_page_token
        if not token:
            return entries


def _decisions(oracle: grpc.Channel, arm: str, round_number: int) -> bytes:
    stub = OperationsServiceStub(oracle)
    uri = _result_uri(oracle, f"{RUN}/{arm}/{round_number}/annotate")
    request = operations_pb.DownloadDatasetRequest(uri=uri, file_names=["decisions.jsonl"])
    return b"".join(piece.chunk for piece in stub.DownloadDataset(request))


def _result_uri(service: grpc.Channel, operation_id: str) -> str:
    """What a step gave; where it failed and the run was given again, a later operation has a number behind the id."""
    for number in count(1):
        operation = find(service, operation_id if number == 1 else f"{operation_id}/{number}")
        assert operation is not None, f"no operation {operation_id} has succeeded"
        if operation.result_uri:
            break
    return operation.result_uri
