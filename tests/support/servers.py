"""Real servers for tests: on unix sockets in a folder short enough for them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from shared.events.bus import EventBus
from shared.rpc.channels import Channels
from shared.rpc.server import RunningServer, Service
from shared.settings import ServiceSettings


@contextmanager
def short_folder() -> Iterator[Path]:
    """A temporary folder whose path leaves room for a socket's name (pytest's own may be too deep)."""
    folder = Path(tempfile.mkdtemp(prefix="mq-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(service: Service, bus: EventBus, settings: ServiceSettings) -> Iterator[grpc.Channel]:
    """Serve a service as `settings.listen` says; gives a channel to it; drains at the end."""
    server = RunningServer(service, bus, settings)
    server.start()
    try:
        with Channels({service.name: server.target}) as channels:
            yield channels[service.name]
    finally:
        server.drain()
