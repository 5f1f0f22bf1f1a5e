"""All six services in one process, on unix sockets in a short runtime folder: what a newcomer meets.

The only file that knows this mode. It is one more composition root: it calls each service's `build` and serves what that
gives; they talk to each other over gRPC as they do on a cluster.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from services.evaluation.settings import EvaluationSettings
from services.registry import REGISTRY
from services.training.settings import TrainingSettings
from shared.events.sqlite import SqliteEventBus
from shared.gpus import visible_gpus
from shared.objects.folder import FolderObjectStore
from shared.private_folder import make_private
from shared.rpc.channels import Channels, credentials_of
from shared.rpc.ownership import own
from shared.rpc.server import RunningServer
from shared.settings import ServiceSettings, runtime_folder, socket_targets

#: Imported with this module, so that a start waits for no import.
_BUILD = {name: entry.build for name, entry in REGISTRY.items()}
_MOST_WORKERS = 64


class Embedded:
    """The six services over one state folder, which this process owns while it lives.

    Args:
        state_folder: Where databases, objects and events lie; made where it is missing.
        overrides: Settings to set otherwise, for all services alike; the environment's `MEDQ_<SERVICE>_<FIELD>` hold too.
            With `targets` the services listen there instead of on sockets.

    Raises:
        FailedPrecondition: Another process owns the folder, or another user has made that of the sockets.
    """

    def __init__(self, state_folder: Path, overrides: Mapping[str, Any] | None = None) -> None:
        self.state_folder = state_folder.resolve()
        given = dict(overrides or {})
        self.targets: dict[str, str] = given.pop("targets", None) or socket_targets(self.state_folder)
        common = {"state_folder": self.state_folder, "targets": self.targets}
        settings = {
            name: fitted(entry.settings(**{**common, "listen": self.targets[name], **given}))
            for name, entry in REGISTRY.items()
        }
        self._drain_seconds = max(one.drain_seconds for one in settings.values())
        self._lock: FileLock = own(self.state_folder)
        if self.targets == socket_targets(self.state_folder):
            make_private(runtime_folder(self.state_folder), "state_folder")  # who looks for it from now on finds ours
        self._bus = SqliteEventBus(self.state_folder / "events.sqlite", is_sole_owner=True)
        self._channels = Channels(self.targets, credentials_of(settings["controller"]))
        objects = FolderObjectStore(self.state_folder / "objects")
        self._servers: list[RunningServer] = []
        for name, build in _BUILD.items():
            service = build(settings[name], self._channels, self._bus, objects)
            self._servers.append(RunningServer(service, self._bus, settings[name]))

    def start(self) -> None:
        """Serve. The controller comes last: what it goes on with calls the others."""
        for server in self._servers:
            server.start()

    def stop(self) -> None:
        """Drain, the controller first, and give the folder up; the six share the time that calls in flight have."""
        end = time.monotonic() + self._drain_seconds
        for server in reversed(self._servers):
            server.drain(max(0.0, end - time.monotonic()))
        self._channels.close()
        self._bus.close()
        shutil.rmtree(runtime_folder(self.state_folder), ignore_errors=True)
        self._lock.release()

    def __enter__(self) -> Embedded:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()


def fitted(settings: ServiceSettings) -> ServiceSettings:
    """The same settings, with as many operations at once as there are cores or GPUs for, unless they say how many."""
    if not isinstance(settings, EvaluationSettings | TrainingSettings):
        return settings
    if "operation_workers" in settings.model_fields_set:
        return settings
    n_cores = len(os.sched_getaffinity(0)) // settings.n_torch_threads
    n_gpus = len(visible_gpus()) if settings.device != "cpu" else 0
    if n_gpus and isinstance(settings, EvaluationSettings):
        n_gpus = 1  # it uses the first, where two models may not fit
    return settings.model_copy(update={"operation_workers": n_gpus or max(1, min(n_cores, _MOST_WORKERS))})
