"""The one server loop: calls, health on a port of its own, reflection, operations, events, metrics, graceful drain.

A service brings a `Service`, which its `build()` returns; nothing here knows which service it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
import sqlalchemy as sa
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from structlog.typing import FilteringBoundLogger

from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from shared.events.bus import BatchHandler, EventBus, Subscription
from shared.events.outbox import Outbox, OutboxDrainer
from shared.logs import get_logger
from shared.objects.store import ObjectStore
from shared.operations import Operations
from shared.rpc.admission import AdmissionInterceptor
from shared.rpc.authorization import Authorization, authorization
from shared.rpc.certificates import server_credentials
from shared.rpc.channels import is_local
from shared.rpc.interceptors import ErrorInterceptor
from shared.rpc.listening import beside, bind
from shared.rpc.operations import OperationsServicer
from shared.rpc.patience import Patience
from shared.rpc.watch import PoolProbe, Watch, observed
from shared.settings import ServiceSettings
from shared.tracing import tracing_interceptors

_OPTIONS = (
    ("grpc.so_reuseport", 0),  # or a second server binds the same port silently
    ("grpc.max_concurrent_streams", 128),  # calls of one connection
    # A peer that is gone without a word is noticed, and with it its calls and its connection.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)
_HEALTH = "grpc.health.v1.Health"
_HEALTH_THREADS = 32
#: Calls in flight for each thread; what comes beyond them is refused at once.
_CALLS_PER_THREAD = 32


@dataclass(frozen=True)
class Service:
    """What a server needs to run a service.

    Attributes:
        name: Folder name of the service: "retrieval".
        full_name: Name in the proto: "medq.retrieval.v1.RetrievalService".
        also: Full names of what it serves beside that, on the same port.
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
    also: tuple[str, ...] = ()


class RunningServer:
    """A service that answers calls.

    Args:
        service: The service.
        bus: Where its events come from and go to.
        settings: Addresses, threads, drain time.
        clock: Gives the seconds by which a call is slow and a pool is stuck.

    Raises:
        FailedPrecondition: The address is taken; a file of `tls` or `auth` cannot be used.
        InvalidArgument: The path of a unix socket is too long; settings of `tls` or `auth` do not go together.
    """

    def __init__(
        self, service: Service, bus: EventBus, settings: ServiceSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._service = service
        self._settings = settings
        self._log = get_logger(service.name)
        self._health = health.HealthServicer(experimental_thread_pool=ThreadPoolExecutor(1))
        self._patience = Patience(_share(settings.threads), clock)
        self._health_server, _ = self._new_server("health", _HEALTH_THREADS, None)
        callers = authorization(service.name, settings.auth)
        self._server, self._pool = self._new_server("rpc", settings.threads, callers)
        self._register()
        self.target = bind(self._server, settings.listen, server_credentials(settings.tls))
        # Plaintext and open: kubelet's gRPC probes speak no TLS, and an answer says no more than "serving".
        self.health_target = bind(self._health_server, settings.health_listen or beside(settings.listen))
        self._bus = bus
        self._subscription: Subscription | None = None
        self._drainer: OutboxDrainer | None = None
        self._watch: Watch | None = None
        self._probe = PoolProbe(self._pool, clock)

    def start(self) -> None:
        """Take up unfinished operations, listen to events, answer calls, then report as serving."""
        service = self._service
        service.operations.resume()
        if service.outbox is not None and service.engine is not None:
            self._drainer = OutboxDrainer(service.outbox, service.engine, self._bus)
        if service.handlers:
            self._subscription = self._bus.subscribe(service.name, observed(service.name, service.handlers))
        self._patience.start()
        self._server.start()
        self._health_server.start()
        self.tell_health()
        self._watch = Watch(
            service.name, service.operations, service.outbox, service.engine, self._subscription, self.tell_health
        )
        self._log.info("serving", target=self.target, health=self.health_target)
        _warn_of_exposure(self._log, self._settings)

    def tell_health(self) -> None:
        """Report as serving while the pool of the calls begins what it is given; done every ten seconds."""
        self._set_health(is_serving=self._probe.is_alive())

    def drain(self, seconds: float | None = None) -> None:
        """Stop: report as not serving, let waiters go, finish calls in flight, give operations back, release all.

        Args:
            seconds: How long calls in flight may take; None: as the settings say.
        """
        service = self._service
        self._health.enter_graceful_shutdown()  # not serving, whatever is set later
        if self._subscription is not None:
            self._subscription.close()
        service.operations.drain()
        self._server.stop(self._settings.drain_seconds if seconds is None else seconds).wait()
        for loop in (self._drainer, self._watch):
            if loop is not None:
                loop.close()
        service.close()
        self._health_server.stop(0).wait()
        self._patience.close()
        self._log.info("drained")

    def _register(self) -> None:
        service, server = self._service, self._server
        service.register(server)
        operations = OperationsServicer(service.operations, _share(self._settings.threads), service.objects)
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(operations, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._health_server)
        # Health answers on the calls' port too, for clients that know only that one.
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._settings.is_reflection_on:
            names = (*self._names(), _HEALTH, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)

    def _names(self) -> tuple[str, ...]:
        operations = operations_pb2.DESCRIPTOR.services_by_name["OperationsService"].full_name
        return self._service.full_name, *self._service.also, operations

    def _set_health(self, *, is_serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        for name in ("", *self._names()):
            self._health.set(name, status.SERVING if is_serving else status.NOT_SERVING)

    def _new_server(
        self, kind: str, threads: int, callers: Authorization | None
    ) -> tuple[grpc.Server, ThreadPoolExecutor]:
        """A server with `threads` for calls and a quarter of that, more, for streams; and its pool."""
        name, settings, max_streams = self._service.name, self._settings, _share(threads)
        pool = ThreadPoolExecutor(threads + max_streams, thread_name_prefix=f"{name}-{kind}")
        admission = AdmissionInterceptor(
            callers,
            self._patience,
            most=max_streams,
            stream_seconds=settings.stream_seconds,
            idle_seconds=settings.stream_idle_seconds,
        )
        server = grpc.server(
            pool,
            # The outermost first: the trace sees all of it, errors become statuses, then it is decided about the call.
            interceptors=[*tracing_interceptors(), ErrorInterceptor(name), admission],
            options=_OPTIONS,
            maximum_concurrent_rpcs=threads * _CALLS_PER_THREAD,
        )
        return server, pool


def _share(threads: int) -> int:
    """How many threads those may hold who only wait, or are slow."""
    return max(1, threads // 4)


def _warn_of_exposure(log: FilteringBoundLogger, settings: ServiceSettings) -> None:
    """Say in the log what a setting left open to the network: docs/security.md."""
    auth, tls = settings.auth, settings.tls
    if is_local(settings.listen):
        return
    if not (auth.tokens_file or auth.oidc_issuer or tls.is_client_certificate_required):
        log.warning("open_to_everybody", remedy="Set auth.tokens_file or auth.oidc_issuer.")
    if tls.certificate_file is None:
        log.warning("calls_in_plaintext", remedy="Set tls.certificate_file and tls.key_file.")
