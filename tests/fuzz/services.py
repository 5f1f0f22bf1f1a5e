"""The process of the six services, seen from outside: started, asked, measured, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from medq.operations.v1 import operations_pb2 as pb
from medq.operations.v1 import operations_pb2_grpc as pb_grpc
from shared.rpc.operations import TERMINAL_STATES
from shared.settings import SERVICES, socket_targets
from tests.fuzz.world import World

ROOT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 60.0
_COMPLAINTS = frozenset(
    {
        "call_failed",
        "operation_failed",
        "operation_not_recorded",
        "background_step_failed",
        "event_dead_lettered",
        "uncaught",
    }
)
_READING = ("EMBEDDING", "EVALUATION", "TRAINING", "CONTROLLER")


@dataclass
class Services:
    """The running services.

    Attributes:
        log: What they wrote to standard error.
        channels: To each; a call is made once and has no deadline but its own.
        operations: Stubs of the operations of each.
    """

    process: subprocess.Popen[str]
    log: Path
    channels: dict[str, grpc.Channel]

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def memory(self, which: str = "VmRSS") -> int:
        """Bytes in memory now, or `VmHWM`, at most since the last reset."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))

    def reset_peak(self) -> None:
        """Begin to measure the peak anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def n_threads(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def n_descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def operations(self, service: str) -> pb_grpc.OperationsServiceStub:
        return pb_grpc.OperationsServiceStub(self.channels[service])

    def all_operations(self) -> Iterator[tuple[str, pb.Operation]]:
        """Service and operation, every one there is."""
        for service in SERVICES:
            token = ""
            while True:
                request = pb.ListOperationsRequest(page_size=500, page_token=token)
                page = self.operations(service).ListOperations(request, timeout=30)
                yield from ((service, operation) for operation in page.operations)
                token = page.next_page_token
                if not token:
                    break

    def unfinished(self) -> list[tuple[str, str]]:
        """Service and id of each operation that has not ended."""
        return [(service, it.operation_id) for service, it in self.all_operations() if it.state not in TERMINAL_STATES]

    def complaints(self) -> list[dict[str, str]]:
        """What the log says that was not foreseen: event and what was raised."""
        found: list[dict[str, str]] = []
        foreign = ""  # lines of a library, from its ERROR on
        for line in [*self.log.read_text(errors="replace").splitlines(), "{}"]:
            if not line.startswith("{"):  # our own lines are JSON objects
                foreign += f"{line}\n" if foreign or line.startswith(("ERROR", "Traceback")) else ""
                continue
            # A method that the protocol names and nobody implements raises so in gRPC's own base class.
            if foreign and "NotImplementedError" not in foreign:
                found.append({"event": "error of a library", "method": "", "exception": foreign})
            foreign, entry = "", json.loads(line)
            if entry.get("event") in _COMPLAINTS:
                found.append({key: str(entry.get(key, "")) for key in ("event", "method", "exception")})
        return found


def stop(process: subprocess.Popen[str]) -> bool:
    """Tell the services to stop; False where they had to be killed, since they had not within a minute."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


@contextmanager
def running_services(world: World, database_url: str = "") -> Iterator[Services]:
    """Serve a world in a process of its own; at the end it was told to stop, or killed where it did not."""
    log, targets = world.folder / "services.log", socket_targets(world.state)
    roots = {f"MEDQ_{name}_INPUT_ROOTS": json.dumps([str(world.inputs)]) for name in _READING}
    command = [sys.executable, "-m", "tests.fuzz.server", str(world.state), *([database_url] if database_url else [])]
    environment = {**os.environ, **roots, "PYTHONPATH": f"{ROOT}:{ROOT / 'shared' / 'gen'}"}
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        if process.stdout is None or process.stdout.readline() != "serving\n":
            raise RuntimeError(f"The services did not start: {log.read_text()[-2000:]}")
        options = [("grpc.enable_retries", 0), ("grpc.max_receive_message_length", 16 * 2**20)]
        channels = {name: grpc.insecure_channel(target, options=options) for name, target in targets.items()}
        try:
            yield Services(process, log, channels)
        finally:
            for channel in channels.values():
                channel.close()
    finally:
        stop(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
