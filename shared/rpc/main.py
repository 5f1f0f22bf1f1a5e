"""The `main` of every service that runs alone: settings, lock, server, SIGTERM, drain."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from shared.errors import MedqError
from shared.events.bus import EventBus
from shared.logs import configure_logs, get_logger, log_uncaught_errors
from shared.objects.store import ObjectStore
from shared.resources import open_bus, open_objects
from shared.rpc.channels import Channels, credentials_of
from shared.rpc.ownership import own
from shared.rpc.server import RunningServer, Service
from shared.settings import ServiceSettings
from shared.stop_signals import StopSignals
from shared.telemetry import serve_metrics
from shared.tracing import configure_tracing

S = TypeVar("S", bound=ServiceSettings)
Build = Callable[[S, Channels, EventBus, ObjectStore], Service]


def serve(name: str, settings: S, build: Build[S]) -> None:
    """Run one service until SIGTERM or SIGINT.

    Args:
        name: The service's folder name.
        settings: Its settings, read from the environment.
        build: Its composition root.

    Raises:
        SystemExit: It could not start; the log says why and what to do.
    """
    stop = StopSignals()
    configure_logs(settings.log_level)
    log_uncaught_errors()
    get_logger(name).info("settings", **settings.model_dump(mode="json"))
    try:
        _serve(name, settings, build, stop)
    except MedqError as error:
        get_logger(name).error("not_served", reason=error.reason, message=error.message, **error.metadata)
        raise SystemExit(1) from None


def _serve(name: str, settings: S, build: Build[S], stop: StopSignals) -> None:
    lock = own(settings.state_folder / name / settings.owner)  # replicas may share the folder
    end_tracing = configure_tracing(name, settings.otlp_endpoint)
    bus = open_bus(settings)
    with lock, Channels(settings.targets, credentials_of(settings)) as channels:
        server = RunningServer(build(settings, channels, bus, open_objects(settings)), bus, settings)
        serve_metrics(settings.metrics_port)
        server.start()
        stop.wait()
        server.drain()
        bus.close()
    end_tracing()
