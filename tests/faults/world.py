"""The whole system on one machine, made to be harmed: real Kafka, MinIO, PostgreSQL and, where it is to be had, Qdrant behind
wires that can be cut, six services as processes that can be killed and are started again as Kubernetes would start them.

What a case remembers is its own: a database, a bucket, topics, folders.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import sqlalchemy as sa
from pydantic import SecretStr

from services.migrate import MigrateSettings
from services.registry import REGISTRY
from services.retrieval.settings import QdrantSection
from shared.rpc.channels import Channels
from shared.settings import SERVICES, KafkaSection, S3Section, environment_of
from tests.support.finished_run import ARM
from tests.support.ports import free_port
from tests.support.real_servers import SERVERS, run_servers
from tests.support.tcp_proxy import TcpProxy

ROOT = Path(__file__).resolve().parents[2]
BACKENDS = ("kafka", "s3", "postgres")
_QDRANT = "qdrant"
_SECRET = "medq-local-only"
_START_SECONDS = 300


@dataclass(frozen=True)
class Setting:
    """What a run is like.

    Attributes:
        config: Its YAML, in the folder of the study.
        arm: Its arm.
        has_qdrant: The vectors lie on Qdrant's server.
        call_seconds: How long a call to the simulated oracle or expert takes.
    """

    config: str = "run.yaml"
    arm: str = ARM
    has_qdrant: bool = False
    call_seconds: float = 0.0


def is_qdrant_here() -> bool:
    """Whether this machine has a Qdrant: no registry has it."""
    return run_servers("install", _QDRANT).returncode == 0


class Backends:
    """Kafka, MinIO, PostgreSQL and Qdrant of our own, each behind a wire.

    Args:
        folder: Their data.
        s3_folder: Where MinIO keeps its objects.
        has_qdrant: There is a Qdrant here, see `is_qdrant_here`.
    """

    def __init__(self, folder: Path, s3_folder: Path, has_qdrant: bool) -> None:
        first = free_port(range(7))
        # Qdrant takes one more, Kafka two.
        self.ports = {"s3": first, "postgres": first + 1, "qdrant": first + 2, "kafka": first + 4}
        self.wires = {name: TcpProxy(f"127.0.0.1:{port}") for name, port in self.ports.items()}
        self._env = {
            **os.environ,
            "MEDQ_DEV_RUN": str(folder),
            **{f"MEDQ_{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
            "MEDQ_KAFKA_ADVERTISED": self.wires["kafka"].address,
            "MEDQ_S3_DATA": str(s3_folder),
        }
        self._names = (*BACKENDS, _QDRANT) if has_qdrant else BACKENDS
        self._do("up", *self._names)

    def restart(self, name: str) -> None:
        """Kill a server and start it again on what it had."""
        self.kill(name)
        self.up(name)

    def kill(self, name: str) -> None:
        """Kill a server at once."""
        self._do("kill", name)

    def up(self, name: str) -> None:
        """Start a server on what it had."""
        self._do("up", name)

    def close(self) -> None:
        """Stop all and delete their data."""
        self._do("down", "--wipe", *self._names)
        for wire in self.wires.values():
            wire.close()

    def database(self, name: str) -> str:
        """Make a database; its URL by way of the wire."""
        direct = sa.create_engine(
            f"postgresql+psycopg://medq@127.0.0.1:{self.ports['postgres']}/postgres", isolation_level="AUTOCOMMIT"
        )
        with direct.connect() as connection:
            connection.execute(sa.text(f"create database {name}"))
        direct.dispose()
        return f"postgresql://medq@{self.wires['postgres'].address}/{name}"

    def _do(self, *arguments: str) -> None:
        done = subprocess.run(
            [SERVERS, *arguments], env=self._env, capture_output=True, text=True, timeout=1200, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"servers {' '.join(arguments)}: {done.stderr.strip()}")


class World:
    """Six services of one case.

    Args:
        backends: What they stand on.
        folder: Logs and what a service may keep beside itself.
        name: Of the case: letters, digits and underscores.
        setting: What its run is like.
    """

    def __init__(self, backends: Backends, folder: Path, name: str, setting: Setting) -> None:
        self.backends = backends
        self.name = name
        self.setting = setting
        self._folder = folder
        folder.mkdir(parents=True)
        first = free_port(range(len(SERVICES)))
        self.targets = {service: f"127.0.0.1:{port}" for port, service in enumerate(SERVICES, first)}
        self.topic_prefix = f"{name}."
        self.database_url = backends.database(name)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._is_closing = False
        self.n_kills = 0
        self._migrate()
        for service in SERVICES:
            self._start(service)
        self.channels = Channels(self.targets)
        for service in SERVICES:
            grpc.channel_ready_future(self.channels[service]).result(_START_SECONDS)
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def kill(self, service: str) -> None:
        """Kill a service at once, and start it again."""
        with self._lock:
            self._processes[service].send_signal(signal.SIGKILL)
            self._processes[service].wait()
            self.n_kills += 1
            self._start(service)

    def close(self) -> None:
        """Stop all services."""
        with self._lock:
            self._is_closing = True
        self.channels.close()
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()

    def _environment(self, service: str) -> dict[str, str]:
        wires = self.backends.wires
        return os.environ | environment_of(
            REGISTRY[service].settings,
            state_folder=self._folder / service,
            listen=self.targets[service],
            targets=self.targets,
            database_url=self.database_url,
            kafka=KafkaSection(bootstrap=wires["kafka"].address, topic_prefix=self.topic_prefix, session_seconds=6),
            s3=S3Section(
                endpoint=f"http://{wires['s3'].address}",
                bucket=self.name.replace("_", "-"),
                access_key="medq",
                secret_key=SecretStr(_SECRET),
            ),
            owner=f"{service}-0",
            **self._own(service),
        )

    def _own(self, service: str) -> dict[str, Any]:
        """Settings that one service alone has."""
        if service == "oracle":
            return {"simulated_call_seconds": self.setting.call_seconds}
        if service == "retrieval" and self.setting.has_qdrant:
            url = f"http://{self.backends.wires[_QDRANT].address}"
            return {"index": QdrantSection(url=url, collection=self.name)}
        return {}

    def _start(self, service: str) -> None:
        with (self._folder / f"{service}.log").open("ab") as log:
            self._processes[service] = subprocess.Popen(
                [sys.executable, "-m", f"services.{service}"],
                cwd=ROOT,
                env=self._environment(service),
                stdout=log,
                stderr=log,
            )

    def _keep(self) -> None:
        """Start again whatever ended by itself: a service may leave when its database has gone for long."""
        pause = threading.Event()
        while not pause.wait(1.0):
            with self._lock:
                if self._is_closing:
                    return
                for service, process in self._processes.items():
                    if process.poll() is not None:
                        self._start(service)

    def _migrate(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "services.migrate"],
            cwd=ROOT,
            env=os.environ | environment_of(MigrateSettings, database_url=self.database_url),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"The migration failed: {done.stderr[-2000:]}")
