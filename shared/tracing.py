"""Traces by OpenTelemetry over gRPC calls and operations (W3C `traceparent`); off unless an endpoint is set.

Without `configure_tracing` nothing here does anything: channels stay bare, no interceptor is added.
Spans carry names of methods and kinds, run, round and operation ids, never what a request holds, nor the text of an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import structlog
from google.protobuf.message import Message
from opentelemetry import trace
from opentelemetry.instrumentation.grpc import client_interceptor, filters, server_interceptor
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status

#: Name under which the product makes its spans.
TRACER = "medq"
# A caller that waits asks each second, and probes ask for ever: neither says anything.
_TRACED = filters.negate(filters.any_of(filters.method_name("Wait"), filters.health_check()))


def configure_tracing(service: str, endpoint: str, processor: SpanProcessor | None = None) -> Callable[[], None]:
    """Make spans in this process from now on; called once, in `main`, before channels and servers are made.

    Args:
        service: Name of the service.
        endpoint: host:port of an OTLP collector, spoken to in plaintext gRPC; "" makes no spans.
        processor: Takes the spans instead of the endpoint.

    Returns: Sends what is still in hand, and ends.
    """
    if not endpoint and processor is None:
        return lambda: None
    if processor is None:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True, timeout=10))
    provider = TracerProvider(resource=Resource.create({"service.name": f"medq-{service}"}))
    provider.add_span_processor(WithoutTexts(processor))
    trace.set_tracer_provider(provider)
    return provider.shutdown


class WithoutTexts(SpanProcessor):
    """Passes spans on without the texts of errors, which OpenTelemetry notes as events and as the status's description."""

    def __init__(self, inner: SpanProcessor) -> None:
        self._inner = inner

    def on_end(self, span: ReadableSpan) -> None:
        """See `SpanProcessor`."""
        span._events, span._status = (), Status(span.status.status_code)
        self._inner.on_end(span)

    def shutdown(self) -> None:
        """See `SpanProcessor`."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See `SpanProcessor`."""
        return self._inner.force_flush(timeout_millis)


def is_tracing() -> bool:
    """Whether this process makes spans."""
    return isinstance(trace.get_tracer_provider(), TracerProvider)


def traced_channel(channel: grpc.Channel) -> grpc.Channel:
    """The channel with a span around each call, whose id travels with it."""
    if not is_tracing():
        return channel
    traced: grpc.Channel = intercept_channel(channel, client_interceptor(filter_=_TRACED))  # type: ignore[no-untyped-call]
    return traced


def tracing_interceptors() -> list[Any]:
    """What a server needs to go on with its callers' traces."""
    return [server_interceptor(filter_=_TRACED)] if is_tracing() else []  # type: ignore[no-untyped-call]


@contextmanager
def at_work(service: str, operation_id: str, kind: str, request: Message) -> Iterator[None]:
    """What is logged and traced in here names the operation, and the run, arm and round that it is for."""
    names = ("run_id", "arm", "round")
    known = {name: getattr(request, name) for name in names if name in request.DESCRIPTOR.fields_by_name}
    attributes = {"medq.operation_id": operation_id, **{f"medq.{name}": known[name] for name in known}}
    with (
        structlog.contextvars.bound_contextvars(operation_id=operation_id, **known),
        trace.get_tracer(TRACER).start_as_current_span(f"{service} {kind}", attributes=attributes),
    ):
        yield
