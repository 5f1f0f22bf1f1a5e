"""A real server with a folder of its own, to be killed and started again; `real_servers` gives those that all share."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import free_port
from tests.support.real_servers import address_of, run_servers

#: Ports that a server takes, from its first.
_N_PORTS = {"kafka": 3, "s3": 1, "postgres": 1, "qdrant": 2}


class OwnServer:
    """Kafka, S3, PostgreSQL or Qdrant with ports and a folder of its own.

    Attributes:
        endpoint: As the fixture of the same name gives it.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._env = {f"MEDQ_{name.upper()}_PORT": str(free_port(range(_N_PORTS[name]))), "MEDQ_DEV_RUN": str(folder)}
        self.endpoint = address_of(name, self._do("up"))

    def up(self) -> None:
        """Start it, with the data that it had."""
        self._do("up").check_returncode()

    def kill(self) -> None:
        """Kill it at once."""
        self._do("kill").check_returncode()

    def remove(self) -> None:
        """Stop it and delete its data."""
        self._do("down", "--wipe").check_returncode()

    def _do(self, verb: str, *options: str) -> subprocess.CompletedProcess[str]:
        return run_servers(verb, *options, self._name, **self._env)


@contextmanager
def own_server(name: str) -> Iterator[OwnServer]:
    """A server for the time of a block."""
    with tempfile.TemporaryDirectory(prefix=f"medq-{name}-", ignore_cleanup_errors=True) as folder:
        server = OwnServer(name, Path(folder))
        try:
            yield server
        finally:
            server.remove()
