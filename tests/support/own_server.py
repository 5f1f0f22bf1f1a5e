"""A real server that belongs to one test module, to be killed and started again; `real_servers` gives those that all share."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.real_servers import SERVERS

_START_SECONDS = 1200  # the first time binaries are compiled


class OwnServer:
    """Kafka, S3 or PostgreSQL with ports and a folder of its own.

    Attributes:
        endpoint: As the fixture of the same name gives it.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        ports = {f"MEDQ_{one}_PORT": str(_free_port()) for one in ("KAFKA", "S3", "POSTGRES")}
        self._env = {**os.environ, **ports, "MEDQ_DEV_RUN": str(folder)}
        started = self._do("up")
        if started.returncode != 0:
            reason = f"no {name} here: {started.stderr.strip().splitlines()[-1:]}"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
        self.endpoint = started.stdout.strip().split("=", 1)[1]

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
        command = [SERVERS, verb, *([self._name] if verb == "kill" else [*options, self._name])]
        return subprocess.run(
            command, capture_output=True, text=True, env=self._env, timeout=_START_SECONDS, check=False
        )


@contextmanager
def own_server(name: str) -> Iterator[OwnServer]:
    """A server for the time of a block."""
    folder = Path(tempfile.mkdtemp(prefix=f"medq-{name}-"))
    server = OwnServer(name, folder)
    try:
        yield server
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
