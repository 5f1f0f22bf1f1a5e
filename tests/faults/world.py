"""The whole system on one machine, made to be harmed: real Kafka, MinIO and PostgreSQL behind wires that can be cut, six services
as processes that can be killed and are started again as Kubernetes would start them.

What a case remembers is its own: a database, a bucket, topics, folders.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import grpc
import sqlalchemy as sa
from pydantic import SecretStr

from services.migrate import MigrateSettings
from services.registry import REGISTRY
from shared.rpc.channels import Channels
from shared.settings import SERVICES, KafkaSection, S3Section, environment_of
from tests.support.ports import free_port
from tests.support.real_servers import SERVERS
from tests.support.tcp_proxy import TcpProxy

ROOT = Path(__file__).resolve().parents[2]
BACKENDS = ("kafka", "s3", "postgres")
_SECRET = "medq-local-only"
_START_SECONDS = 300


class Backends:
    """Kafka, MinIO and PostgreSQL of our own, each behind a wire.

    Args:
        folder: Their data.
        s3_folder: Where MinIO keeps its objects.
    """

    def __init__(self, folder: Path, s3_folder: Path) -> None:
        first = free_port(range(5))
        self.ports = {"s3": first, "postgres": first + 1, "kafka": first + 2}  # which takes two more
        self.wires = {name: TcpProxy(f"127.0.0.1:{port}") for name, port in self.ports.items()}
        self._env = {
            **os.environ,
            "MEDQ_DEV_RUN": str(folder),
            **{f"MEDQ_{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
            "MEDQ_KAFKA_ADVERTISED": self.wires["kafka"].address,
            "MEDQ_S3_DATA": str(s3_folder),
        }
        self._do("up", *BACKENDS)

    def restart(self, name: str) -> None:
        """Kill a server and start it again on what it had."""
        self._do("kill", name)
        self._do("up", name)

    def close(self) -> None:
        """Stop all and delete their data."""
        self._do("down", "--wipe", *BACKENDS)
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
    """

    def __init__(self, backends: Backends, folder: Path, name: str) -> None:
        self.backends = backends
        self.name = name
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
        )

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
