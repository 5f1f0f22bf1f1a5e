"""The time to a reviewer's next task: 100,000 tasks in the queue, 10 reviewers at once, on SQLite and on PostgreSQL.

    python -m benchmarks.review_queue [--tasks 100000] [--reviewers 10] [--rounds 100] [--pause 1] [--postgres URL]

The service is a process of its own, the reviewers are threads of this one. Each asks for a task, decides, and after a pause asks
for the next, thirty times as fast as a person. What is measured is the whole call `LeaseTasks`, from the client: the lease
is in the database, with its entry in the log, before the answer. With `--pause 0` each reviewer asks without a rest, which
measures how much the queue can do. On a machine that others use, the clock measures them too; the processor's time that the
service takes for a task (a lease and a decision) does not. One JSON object goes to standard output.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.outcome import end
from benchmarks.review_server import QueueServer, postgresql
from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub

MAX_P99_SECONDS = 0.05
_LEASE_SECONDS = 600


def reviewed(
    target: str, reviewer: str, rounds: int, pause: float, begin: threading.Barrier
) -> tuple[list[float], list[float]]:
    """Seconds of each lease and of each decision of one reviewer."""
    leases, decisions, draw = [], [], random.Random(reviewer)
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = ReviewServiceStub(channel)
        stub.CountTasks(pb.CountTasksRequest(run_id="nobody"))  # the connection is there
        begin.wait()
        for _ in range(rounds):
            time.sleep(draw.uniform(0.5, 1.5) * pause)
            started = time.perf_counter()
            task = stub.LeaseTasks(pb.LeaseTasksRequest(reviewer=reviewer, count=1, seconds=_LEASE_SECONDS)).tasks[0]
            leased = time.perf_counter()
            stub.DecideTask(
                pb.DecideTaskRequest(
                    task_id=task.task_id,
                    revision=task.revision,
                    action=pb.REVIEW_ACTION_ACCEPT,
                    active_seconds=1.0,
                    reviewer=reviewer,
                )
            )
            leases.append(leased - started)
            decisions.append(time.perf_counter() - leased)
    return leases, decisions


def measured(database_url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of one database."""
    with tempfile.TemporaryDirectory(prefix="mq-") as name:
        server = QueueServer(Path(name), database_url)
        server.fill(arguments.tasks)
        server.start()
        try:
            busy = server.processor_seconds()
            begin, n = threading.Barrier(arguments.reviewers), arguments.reviewers
            with ThreadPoolExecutor(n) as pool:
                calls = [
                    pool.submit(reviewed, server.target, f"reviewer-{number}", arguments.rounds, arguments.pause, begin)
                    for number in range(n)
                ]
                times = [call.result() for call in calls]
            busy = server.processor_seconds() - busy
        finally:
            server.kill()
    leases, decisions = ([one for part in parts for one in part] for parts in zip(*times, strict=True))
    figures = {"leases": len(leases), "processor_seconds_per_task": busy / len(leases)}
    for what, seconds in (("next_task", leases), ("decision", decisions)):
        p50, p99 = np.percentile(seconds, [50, 99]).tolist()
        figures |= {f"{what}_p50_seconds": p50, f"{what}_p99_seconds": p99}
    return figures


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--reviewers", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=100, help="tasks that each reviewer decides")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between a decision and the next task")
    parser.add_argument("--postgres", default="", help="URL of a server; else the one of infra/dev/servers")
    arguments = parser.parse_args()
    found = {"sqlite": measured("", arguments)}
    with postgresql(arguments.postgres) as url:
        if url:
            found["postgresql"] = measured(url, arguments)
    worst = max(one["next_task_p99_seconds"] for one in found.values())
    line = ", ".join(
        f"{name}: next task p99 {1000 * one['next_task_p99_seconds']:.1f} ms" for name, one in found.items()
    )
    figures = {"tasks": arguments.tasks, "reviewers": arguments.reviewers, "pause_seconds": arguments.pause, **found}
    end(figures, line, is_met=worst < MAX_P99_SECONDS)


if __name__ == "__main__":
    main()
