"""A pod's container as a process of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


class PodProcess:
    """A running container: its log with the time of each line, and ways to end it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lines: list[tuple[float, str]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> int:
        """The exit code as Kubernetes counts it, once all output was read."""
        code = self._process.wait()
        self._signal(signal.SIGKILL)  # a container's other processes end with its first
        self._reader.join()
        return 128 - code if code < 0 else code

    def log(self, since_seconds: float | None, tail_lines: int | None) -> str:
        oldest = 0.0 if since_seconds is None else time.monotonic() - since_seconds
        lines = [line for told, line in list(self._lines) if told >= oldest]
        return "".join(lines if tail_lines is None else lines[-tail_lines:])

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def end(self) -> None:
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.append((time.monotonic(), line.decode()))


def environment(container: dict[str, Any], index: int, secrets: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """The variables of a container: plain ones, keys of secrets, and the index of the pod in its Job."""
    values = {}
    for variable in container["env"]:
        source = variable.get("valueFrom", {})
        if "secretKeyRef" in source:
            values[variable["name"]] = secrets[source["secretKeyRef"]["name"], source["secretKeyRef"]["key"]]
        else:
            values[variable["name"]] = str(index) if source else variable["value"]
    return values


def start_pod(
    container: dict[str, Any], image: Path, volumes: Path, variables: Mapping[str, str], meeting: tuple[str, str]
) -> PodProcess:
    """Run a container's command in its image's folder.

    Args:
        container: As in the manifest.
        image: Folder that the command runs in; its `python` is this one.
        volumes: Where mounted folders lie.
        variables: The container's environment; a value that is a mounted folder becomes its place here.
        meeting: Host name of the Job's first pod, and the address that it has here.
    """
    places = {mount["mountPath"]: volumes / mount["name"] for mount in container["volumeMounts"]}
    for place in places.values():
        place.mkdir(parents=True)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONPATH": "shared/gen",
        "OMP_NUM_THREADS": "1",
    } | {name: str(places.get(value, value)) for name, value in variables.items()}
    host, address = meeting
    arguments = []
    for argument in [*container["command"], *container["args"]]:
        for name, value in environment.items():
            argument = argument.replace(f"$({name})", value)
        arguments.append(address if argument.rpartition(":")[0] == host else argument)
    return PodProcess(
        subprocess.Popen(
            arguments,
            cwd=image,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    )
