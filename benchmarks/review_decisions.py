"""10,000 decisions by 10 clients at once that lose their connections, of a server that is killed: none lost, none doubled.

    python -m benchmarks.review_decisions [--decisions 10000] [--clients 10] [--kills 20] [--postgres URL]

The service is a process of its own, which SIGKILL ends at random moments and which is started again. Each client leases tasks
and decides; one call in five is broken off by its client in the middle, and any call may meet a dead server. Then the client
sends the same again until it has an answer, as the page does. In the end the log in the database is held against what each
client meant to decide. One JSON object goes to standard output.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import grpc
import sqlalchemy as sa

from benchmarks.outcome import end
from benchmarks.review_server import QueueServer, postgresql
from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from services.oracle.store.reviews import ReviewStore

_AT_ONCE, _LEASE_SECONDS = 5, 600
_BROKEN_OFF = 0.2  # share of the calls that their client breaks off
_LONGEST_CALL_SECONDS = 10.0
_PAUSE_SECONDS = 0.05
_TO_BE_REPEATED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
Answer = TypeVar("Answer")
Meant = dict[tuple[str, int], tuple[str, str, str]]


class Client:
    """A reviewer whose connection breaks.

    Args:
        target: Of the service.
        name: Of the reviewer.
        seed: Of what they decide, and of the moments at which calls are broken off.
    """

    def __init__(self, target: str, name: str, seed: int) -> None:
        self._target, self._name, self._draw = target, name, random.Random(seed)
        self.meant: Meant = {}
        self.n_repeated = 0

    def work(self) -> None:
        """Lease and decide until no task is left."""
        self._channel = self._connect()
        lease = pb.LeaseTasksRequest(reviewer=self._name, count=_AT_ONCE, seconds=_LEASE_SECONDS)
        while tasks := self._insist(lambda stub, seconds: stub.LeaseTasks(lease, timeout=seconds)).tasks:
            for task in tasks:
                self._decide(task)
        self._channel.close()

    def _decide(self, task: pb.ReviewTask) -> None:
        is_accepted = self._draw.random() < 0.5
        answer = "A" if is_accepted else self._draw.choice("BCD")
        request = pb.DecideTaskRequest(
            task_id=task.task_id,
            revision=task.revision,
            action=pb.REVIEW_ACTION_ACCEPT if is_accepted else pb.REVIEW_ACTION_EDIT,
            answer="" if is_accepted else answer,
            active_seconds=1.0,
            reviewer=self._name,
        )
        self.meant[task.task_id, task.revision] = ("accept" if is_accepted else "edit", answer, self._name)
        self._insist(lambda stub, seconds: stub.DecideTask(request, timeout=seconds))

    def _insist(self, call: Callable[[ReviewServiceStub, float], Answer]) -> Answer:
        """Call until there is an answer."""
        while True:
            is_broken_off = self._draw.random() < _BROKEN_OFF
            seconds = self._draw.uniform(0.0005, 0.02) if is_broken_off else _LONGEST_CALL_SECONDS
            try:
                return call(ReviewServiceStub(self._channel), seconds)
            except grpc.RpcError as error:
                if error.code() not in _TO_BE_REPEATED:
                    raise
            self.n_repeated += 1
            self._channel.close()
            time.sleep(_PAUSE_SECONDS)
            self._channel = self._connect()

    def _connect(self) -> grpc.Channel:
        return grpc.insecure_channel(self._target, options=[("grpc.use_local_subchannel_pool", 1)])


def kill_now_and_then(server: QueueServer, kills: int, is_done: threading.Event, seed: int) -> int:
    """Kill the server at random moments and start it again; returns how often."""
    draw = random.Random(seed)
    for number in range(kills):
        if is_done.wait(draw.uniform(0.2, 2.0)):
            return number
        server.kill()
        server.start()
    return kills


def compared(server: QueueServer, meant: Meant) -> dict[str, Any]:
    """What the database holds, beside what clients meant to decide."""
    engine = server.engine()
    with engine.connect() as connection:
        query = "SELECT task_id, revision, text FROM review_log WHERE kind = 'decide'"
        stored = Counter[tuple[str, int]]()
        n_other = 0
        for task_id, revision, text in connection.execute(sa.text(query)):
            content = json.loads(text)
            stored[task_id, revision] += 1
            said = (content["details"]["action"], content["details"]["answer"], content["actor"])
            n_other += meant.get((task_id, revision)) != said
        n_open = connection.execute(sa.text("SELECT count(*) FROM review_tasks WHERE state = 'open'")).scalar_one()
    fault = ReviewStore(engine).verify().fault
    engine.dispose()
    return {
        "decided": sum(stored.values()),
        "lost": len(meant.keys() - stored.keys()) + n_open,
        "doubled": sum(n - 1 for n in stored.values()),
        "other_than_meant": n_other,
        "log_fault": fault,
    }


def run(folder: Path, database_url: str, decisions: int, clients: int, kills: int, seed: int = 0) -> dict[str, Any]:
    """Have clients decide about as many tasks; what came of it.

    Args:
        folder: Empty.
        database_url: As `QueueServer` has it.
        decisions: Tasks in the queue.
        clients: How many at once.
        kills: How often the server is killed, while there is work.
        seed: Of all that is random.
    """
    server = QueueServer(folder, database_url)
    server.fill(decisions)
    server.start()
    people = [Client(server.target, f"reviewer-{number}", seed + number) for number in range(clients)]
    is_done = threading.Event()
    started = time.perf_counter()
    try:
        with ThreadPoolExecutor(clients + 1) as pool:
            killer = pool.submit(kill_now_and_then, server, kills, is_done, seed)
            works = [pool.submit(one.work) for one in people]
            try:
                for work in works:
                    work.result()
            finally:
                is_done.set()
            n_kills = killer.result()
        for one in people:  # what a call leased that its client broke off last
            one.work()
    finally:
        server.kill()
    meant = {key: said for one in people for key, said in one.meant.items()}
    figures = {"kills": n_kills, "calls_repeated": sum(one.n_repeated for one in people)}
    return {**figures, "seconds": round(time.perf_counter() - started, 1), **compared(server, meant)}


def is_whole(figures: dict[str, Any], decisions: int) -> bool:
    """Whether each decision is there once, as it was meant."""
    is_right = figures["decided"] == decisions and not figures["log_fault"]
    return is_right and not any(figures[name] for name in ("lost", "doubled", "other_than_meant"))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--decisions", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgres", default="", help="URL of a server; else the one of infra/dev/servers")
    arguments = parser.parse_args()
    given = (arguments.decisions, arguments.clients, arguments.kills, arguments.seed)
    found = {}
    with tempfile.TemporaryDirectory(prefix="mq-") as folder:
        found["sqlite"] = run(Path(folder), "", *given)
    with postgresql(arguments.postgres) as url, tempfile.TemporaryDirectory(prefix="mq-") as folder:
        if url:
            found["postgresql"] = run(Path(folder), url, *given)
    line = ", ".join(
        f"{name}: {one['decided']} decisions, {one['lost']} lost, {one['doubled']} doubled, {one['kills']} kills"
        for name, one in found.items()
    )
    end(found, line, is_met=all(is_whole(one, arguments.decisions) for one in found.values()))


if __name__ == "__main__":
    main()
