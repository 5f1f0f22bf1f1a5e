"""The controller's overhead: the share of a round in which no service works.

    python -m benchmarks.controller [--out FOLDER --run ID]

Two real runs over one study of phantoms, embedded: a round as small as the tests have it, and a round of the demo's size (its
dev and test sets, budget, questions and training; the pool and the base model, which no round touches, are smaller). The peer
is the services' own work in the same run: what is left of the time between two operations' ends is the controller's. The
floor holds for the round of the demo's size; in a tiny round the same seconds are a larger share. With `--out` and `--run`
it measures a run that is there already, as `make demo` left it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.outcome import end
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from services.embedded import Embedded
from shared.logs import configure_logs
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from shared.settings import SERVICES
from studies.base_model import BaseTraining, pretrain_base
from studies.demo import SETTINGS
from studies.folder import write_study
from studies.plan import StudyPlan
from studies.run_file import write_run_file

MAX_SHARE = 0.02
PLAN = StudyPlan(n_base=48, n_pool=200, n_dev=120, n_test=160, n_replay=150, seed=0, rare_ratio=0.3)
BASE = BaseTraining(epochs=4, batch_size=16)
_SHARED = {"stop": {"patience": 3, "modality_allowance": 1.0}, "rounds": 1}
RUNS: dict[str, dict[str, Any]] = {
    "tiny": {
        "evaluate": {"runs": 1, "max_new_tokens": 2},
        "select": {"budget": 6, "tau_sim": 0.3},
        "build": {"replay_ratio": 0.5},
        "train": {"learning_rate": 2e-4, "epochs": 1, "batch_size": 8},
        **_SHARED,
    },
    "demo-sized": {
        **SETTINGS,
        "arms": ["failure_contrast"],
        "select": {**SETTINGS["select"], "tau_sim": 0.3},
        **_SHARED,
    },
}


@dataclass(frozen=True)
class Work:
    """An operation of a service in a run: when it worked, in seconds since the epoch."""

    arm: str
    round: int
    step: str
    begin: float
    end: float


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="output folder of a run that has ended")
    parser.add_argument("--run", default="demo", help="its id")
    arguments = parser.parse_args()
    temporary = nullcontext(arguments.out) if arguments.out else tempfile.TemporaryDirectory()
    with temporary as name:
        folder = Path(name)
        with (folder / "benchmark.log").open("a", encoding="utf-8") as log:
            configure_logs("WARNING", log)
            measured = measure_run(folder, arguments.run) if arguments.out else measure_study(folder)
    judged = list(measured.values())[-1]
    shares = "; ".join(
        f"{run}: {one['share']:.2%} ({one['seconds_per_round']:.2f} s), "
        f"once a run for the report {one['seconds_after_last_operation']:.2f} s"
        for run, one in measured.items()
    )
    line = f"controller overhead of a round: {shares}; wanted below {MAX_SHARE:.0%} of a round of the demo's size"
    end({"max_share": MAX_SHARE, "runs": measured}, line, is_met=judged["share"] < MAX_SHARE)


def measure_run(folder: Path, run_id: str) -> dict[str, Any]:
    """Measure a run that has ended."""
    with Embedded(folder / "state") as embedded, Channels(embedded.targets) as channels:
        return {run_id: measured_of(channels, run_id)}


def measure_study(folder: Path) -> dict[str, Any]:
    """Make a study and run both sizes over it."""
    write_study(folder, PLAN)
    model = pretrain_base(folder, folder / "base-model", BASE)
    measured = {}
    with Embedded(folder / "state") as embedded, Channels(embedded.targets) as channels:
        for run_id, settings in RUNS.items():
            text = "The images are phantoms."
            config = write_run_file(folder, run_id, model, settings, simulated_images=text)
            controller_pb2_grpc.ControllerServiceStub(channels["controller"]).StartRun(
                controller_pb2.StartRunRequest(
                    run_id=run_id, config_yaml=config.read_text(encoding="utf-8"), base_folder=str(folder)
                )
            )
            await_operation(channels["controller"], run_id)
            measured[run_id] = measured_of(channels, run_id)
    return measured


def measured_of(channels: Channels, run_id: str) -> dict[str, Any]:
    """The overhead of a run's rounds and, apart, what comes once a run: the last decision and the report."""
    found = list(works(channels, run_id))
    run = operations_pb2_grpc.OperationsServiceStub(channels["controller"]).GetOperation(
        operations_pb2.GetOperationRequest(operation_id=run_id)
    )
    done = run.operation.update_time.ToNanoseconds() / 1e9
    return {**overhead(found), "seconds_after_last_operation": done - max(work.end for work in found)}


def works(channels: Channels, run_id: str) -> Iterator[Work]:
    """The operations of a run in all services, nested ones too; an operation that was tried twice counts from its last try."""
    for service in SERVICES[:-1]:
        stub = operations_pb2_grpc.OperationsServiceStub(channels[service])
        request = operations_pb2.ListOperationsRequest(id_prefix=f"{run_id}/", page_size=500)
        while True:
            answer = stub.ListOperations(request)
            for operation in answer.operations:
                _, arm, number, step = operation.operation_id.split("/", 3)
                done = operation.update_time.ToNanoseconds() / 1e9
                yield Work(arm, int(number), step, done - operation.worked_seconds, done)
            if not answer.next_page_token:
                break
            request.page_token = answer.next_page_token


def overhead(found: Sequence[Work]) -> dict[str, Any]:
    """Seconds and shares without work, of the rounds that trained a model.

    A round lasts from the last end of an operation before it to the last end of one of its own, so rounds lie end to end and
    deciding, noting and publishing between them belong to the next.

    Returns: `share` of all such rounds together, `seconds_per_round`, `seconds_per_step`, and `rounds`.
    """
    rounds, last = [], min(work.begin for work in found)
    ordered = sorted(found, key=lambda work: work.begin)
    for (arm, number), group in groupby(ordered, key=lambda work: (work.arm, work.round)):
        own = list(group)
        wall = max(work.end for work in own) - last
        idle = idle_seconds(own, last)
        last += wall
        steps = [work for work in own if "/" not in work.step]
        if "train" in {work.step for work in own}:
            rounds.append(
                {
                    "arm": arm,
                    "round": number,
                    "n_steps": len(steps),
                    "wall_seconds": wall,
                    "overhead_seconds": idle,
                    "share": idle / wall,
                }
            )
    seconds = sum(one["overhead_seconds"] for one in rounds)
    return {
        "share": seconds / sum(one["wall_seconds"] for one in rounds),
        "seconds_per_round": seconds / len(rounds),
        "seconds_per_step": seconds / sum(one["n_steps"] for one in rounds),
        "rounds": rounds,
    }


def idle_seconds(found: Sequence[Work], begin: float) -> float:
    """Seconds from `begin` to the last end in which none of the operations worked."""
    idle, covered = 0.0, begin
    for work in sorted(found, key=lambda work: work.begin):
        idle += max(0.0, work.begin - covered)
        covered = max(covered, work.end)
    return idle


if __name__ == "__main__":
    main()
