"""The six services as processes of one machine: their names, ports and environments. Starts nothing.

The controller listens on the first port, the services after it in the order in which an image passes them; a second replica of
one listens ten further on, a third twenty. `/metrics` is a thousand above the port of each process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from services.registry import REGISTRY
from shared.settings import SERVICES, KafkaSection, S3Section, environment_of

HOST = "127.0.0.1"
#: The controller's.
FIRST_PORT = 50051
#: Of which services there may be several processes.
REPLICATED = ("embedding", "evaluation")
MOST_REPLICAS = 9
_BETWEEN_REPLICAS = 10
_TO_METRICS = 1000
_ORDER = ("controller", *SERVICES[:-1])


@dataclass(frozen=True)
class Servers:
    """Where the real servers are.

    Attributes:
        kafka: host:port.
        s3: http://access:secret@host:port.
        postgres: postgresql://user@host:port/database; the database is another one, see `Deployment.name`.
    """

    kafka: str
    s3: str
    postgres: str


@dataclass(frozen=True)
class Process:
    """One process of a service.

    Attributes:
        name: "embedding-2".
        service: "embedding".
        module: What Python runs.
        address: host:port that it serves on.
        environment: Its settings, `MEDQ_...`.
    """

    name: str
    service: str
    module: str
    address: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Deployment:
    """What is to run.

    Attributes:
        folder: Logs, process ids and the services' own state go here.
        name: Of the database and the bucket; "-" behind it is put before every topic.
        servers: What it stands on.
        port: The controller's.
        replicas: Service to number of processes, where it is not one.
    """

    folder: Path
    name: str
    servers: Servers
    port: int
    replicas: Mapping[str, int]

    @property
    def controller(self) -> str:
        """The controller's address."""
        return self._address("controller", 1)

    @property
    def database_url(self) -> str:
        """The database of this deployment."""
        return urlsplit(self.servers.postgres)._replace(path=f"/{self.name}").geturl()

    def processes(self) -> list[Process]:
        """All of them, the controller last, since what it goes on with calls the others."""
        return [
            self._process(service, number)
            for service in SERVICES
            for number in range(1, self.replicas.get(service, 1) + 1)
        ]

    def _process(self, service: str, number: int) -> Process:
        name, address = f"{service}-{number}", self._address(service, number)
        s3 = urlsplit(self.servers.s3)
        shards = {"evaluation_replicas": self.replicas.get("evaluation", 1)} if service == "controller" else {}
        environment = environment_of(
            REGISTRY[service].settings,
            listen=address,
            metrics_port=int(address.rsplit(":", 1)[1]) + _TO_METRICS,
            owner=name,
            state_folder=(self.folder / "state" / name).resolve(),
            targets={other: self._target(other) for other in SERVICES if other != service},
            database_url=self.database_url,
            kafka=KafkaSection(bootstrap=self.servers.kafka, topic_prefix=f"{self.name}-"),
            s3=S3Section(
                endpoint=f"{s3.scheme}://{s3.hostname}:{s3.port}",
                bucket=self.name,
                access_key=s3.username or "",
                secret_key=SecretStr(s3.password or ""),
            ),
            **shards,
        )
        return Process(name, service, f"services.{service}", address, environment)

    def _target(self, service: str) -> str:
        """What others call: all replicas, where there are several."""
        n_replicas = self.replicas.get(service, 1)
        if n_replicas == 1:
            return self._address(service, 1)
        return "ipv4:" + ",".join(self._address(service, number) for number in range(1, n_replicas + 1))

    def _address(self, service: str, number: int) -> str:
        return f"{HOST}:{self.port + _ORDER.index(service) + (number - 1) * _BETWEEN_REPLICAS}"
