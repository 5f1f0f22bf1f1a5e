"""The one server loop: calls, health on a port of its own, reflection, operations, events, metrics, graceful drain.

A service brings a `Service`, which its `build()` returns; nothing here knows which service it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import sqlalchemy as sa
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from structlog.typing import FilteringBoundLogger

from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.errors import FailedPrecondition, InvalidArgument
from shared.events.bus import BatchHandler, EventBus, Subscription
from shared.events.outbox import Outbox, OutboxDrainer
from shared.logs import get_logger
from shared.objects.store import ObjectStore
from shared.operations import Operations
from shared.rpc.authorization import authorization_interceptors
from shared.rpc.certificates import server_credentials
from shared.rpc.channels import is_local
from shared.rpc.interceptors import ErrorInterceptor
from shared.rpc.operations import OperationsServicer
from shared.rpc.watch import Watch, observed
from shared.settings import MAX_SOCKET_PATH, ServiceSettings
from shared.tracing import tracing_interceptors

_OPTIONS = (("grpc.so_reuseport", 0),)  # or a second server binds the same port silently
_HEALTH = "grpc.health.v1.Health"


@dataclass(frozen=True)
class Service:
    """What a server needs to run a service.

    Attributes:
        name: Folder name of the service: "retrieval".
        full_name: Name in the proto: "medq.retrieval.v1.RetrievalService".
        register: Adds the servicer to a server: `lambda server: add_XServicer_to_server(servicer, server)`.
        operations: Its operations.
        handlers: Event type to handler; empty where it listens to nothing. The consumer group is the service's name.
        outbox: Where its transactions leave events, if it publishes any; then `engine` is its database.
        objects: Where its operations put their results; None where they make none.
        close: Releases what `build` opened.
    """

    name: str
    full_name: str
    register: Callable[[grpc.Server], None]
    operations: Operations
    handlers: Mapping[str, BatchHandler] = field(default_factory=dict)
    outbox: Outbox | None = None
    engine: sa.Engine | None = None
    objects: ObjectStore | None = None
    close: Callable[[], None] = lambda: None


class RunningServer:
    """A service that answers calls.

    Args:
        service: The service.
        bus: Where its events come from and go to.
        settings: Addresses, threads, drain time.

    Raises:
        FailedPrecondition: The address is taken; a file of `tls` or `auth` cannot be used.
        InvalidArgument: The path of a unix socket is too long; settings of `tls` or `auth` do not go together.
    """

    def __init__(self, service: Service, bus: EventBus, settings: ServiceSettings) -> None:
        self._service = service
        self._settings = settings
        self._log = get_logger(service.name)
        self._health = health.HealthServicer(experimental_thread_pool=ThreadPoolExecutor(1))
        self._health_server = grpc.server(ThreadPoolExecutor(2), options=_OPTIONS)
        self._server = grpc.server(
            ThreadPoolExecutor(settings.threads, thread_name_prefix=f"{service.name}-rpc"),
            interceptors=_interceptors(service.name, settings),
            options=_OPTIONS,
        )
        self._register()
        self.target = _bind(self._server, settings.listen, server_credentials(settings.tls))
        # Plaintext and open: kubelet's gRPC probes speak no TLS, and an answer says no more than "serving".
        self.health_target = _bind(self._health_server, settings.health_listen or _beside(settings.listen))
        self._bus = bus
        self._subscription: Subscription | None = None
        self._drainer: OutboxDrainer | None = None
        self._watch: Watch | None = None

    def start(self) -> None:
        """Take up unfinished operations, listen to events, answer calls, then report as serving."""
        service = self._service
        service.operations.resume()
        if service.outbox is not None and service.engine is not None:
            self._drainer = OutboxDrainer(service.outbox, service.engine, self._bus)
        if service.handlers:
            self._subscription = self._bus.subscribe(service.name, observed(service.name, service.handlers))
        self._watch = Watch(service.name, service.operations, service.outbox, service.engine, self._subscription)
        self._server.start()
        self._health_server.start()
        self._set_health(health_pb2.HealthCheckResponse.SERVING)
        self._log.info("serving", target=self.target, health=self.health_target)
        _warn_of_exposure(self._log, self._settings)

    def drain(self) -> None:
        """Stop: report as not serving, let waiters go, finish calls in flight, give operations back, release all."""
        service = self._service
        self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        if self._subscription is not None:
            self._subscription.close()
        service.operations.drain()
        self._server.stop(self._settings.drain_seconds).wait()
        for loop in (self._drainer, self._watch):
            if loop is not None:
                loop.close()
        service.close()
        self._health_server.stop(0).wait()
        self._log.info("drained")

    def _register(self) -> None:
        service, server = self._service, self._server
        service.register(server)
        max_waiters = max(1, self._settings.threads // 4)
        operations = OperationsServicer(service.operations, max_waiters, service.objects)
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(operations, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._health_server)
        # Health answers on the calls' port too, for clients that know only that one.
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._settings.is_reflection_on:
            names = (*self._names(), _HEALTH, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)

    def _names(self) -> tuple[str, str]:
        operations = operations_pb2.DESCRIPTOR.services_by_name["OperationsService"].full_name
        return self._service.full_name, operations

    def _set_health(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        for name in ("", *self._names()):
            self._health.set(name, status)


def _beside(listen: str) -> str:
    """Where health is served when no setting says: the socket with another ending, or a port that is free."""
    if listen.startswith("unix:"):
        return listen.removesuffix(".sock") + ".health.sock"
    return listen.rsplit(":", 1)[0] + ":0"


def _interceptors(name: str, settings: ServiceSettings) -> list[Any]:
    """What lies around each call, the outermost first: the trace sees all of it, errors become statuses, then it is decided
    whether the call may happen.
    """
    return [*tracing_interceptors(), ErrorInterceptor(name), *authorization_interceptors(name, settings.auth)]


def _warn_of_exposure(log: FilteringBoundLogger, settings: ServiceSettings) -> None:
    """Say in the log what a setting left open to the network: docs/security.md."""
    auth, tls = settings.auth, settings.tls
    if is_local(settings.listen):
        return
    if not (auth.tokens_file or auth.oidc_issuer or tls.is_client_certificate_required):
        log.warning("open_to_everybody", remedy="Set auth.tokens_file or auth.oidc_issuer.")
    if tls.certificate_file is None:
        log.warning("calls_in_plaintext", remedy="Set tls.certificate_file and tls.key_file.")


def _bind(server: grpc.Server, target: str, credentials: grpc.ServerCredentials | None = None) -> str:
    """Bind a server to a target; on a unix socket, which does not leave the machine, without TLS.

    Returns: The target with the port it got.
    """
    path = target.removeprefix("unix:")
    if path != target:
        if len(path.encode()) > MAX_SOCKET_PATH:
            raise InvalidArgument(
                f"A socket path may have {MAX_SOCKET_PATH} bytes.",
                field="listen",
                value=target,
                remedy="Use a shorter folder.",
            )
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if credentials is None or path != target:
            port = server.add_insecure_port(target)
        else:
            port = server.add_secure_port(target, credentials)
    except RuntimeError as error:
        raise FailedPrecondition(
            "The address cannot be bound.", field="listen", value=target, remedy="Is it taken? Choose another."
        ) from error
    return target if path != target else f"{target.rsplit(':', 1)[0]}:{port}"
