"""A trace goes through calls, operations and events, to a collector that is named; without one nothing is traced."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as collector_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as collector_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import StatusCode

from medq.embedding.v1 import embedding_pb2 as pb
from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from shared.logs import configure_logs, get_logger
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from shared.tracing import WithoutTexts, configure_tracing, is_tracing, traced_channel, tracing_interceptors
from tests.support.pictures import picture, png
from tests.support.servers import short_folder

TRACE = "0123456789abcdef0123456789abcdef"
PARENT = "0123456789abcdef"
CONSUMED = "process medq.embedding.image-ingested.v1"


class Collector(collector_grpc.TraceServiceServicer):
    """An OTLP collector that keeps what it gets."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self._came = threading.Condition()

    def wait_for(self, name: str) -> None:
        """Return once a span of this name has come."""
        with self._came:
            assert self._came.wait_for(lambda: any(span.name == name for span in self.spans), 40), name

    def Export(self, request, context):  # type: ignore[no-untyped-def]
        for resource in request.resource_spans:
            self.services |= {
                attribute.value.string_value
                for attribute in resource.resource.attributes
                if attribute.key == "service.name"
            }
            for scope in resource.scope_spans:
                with self._came:
                    self.spans += scope.spans
                    self._came.notify_all()
        return collector_pb.ExportTraceServiceResponse()


def ingest_in_a_process(folder: Path, environment: dict[str, str], collector: Collector) -> None:
    """Serve embedding in a process, ingest one picture in a trace, and stop it as Kubernetes would."""
    pool = folder / "pool"
    pool.mkdir()
    (pool / "a.png").write_bytes(png(picture(0)))
    target = f"unix:{folder}/e.sock"
    settings = {"MEDQ_EMBEDDING_STATE_FOLDER": str(folder / "state"), "MEDQ_EMBEDDING_LISTEN": target}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "services.embedding"], env={**os.environ, **settings, **environment}, stderr=log
        ) as process,
    ):
        try:
            with Channels({"embedding": target}) as channels:
                EmbeddingServiceStub(channels["embedding"]).StartIngest(
                    pb.StartIngestRequest(operation_id="i", source_uri=str(pool), split="pool", run_id="run-1"),
                    metadata=(("traceparent", f"00-{TRACE}-{PARENT}-01"),),
                    timeout=60,
                )
                await_operation(channels["embedding"], "i")
            collector.wait_for(CONSUMED)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, (folder / "log").read_text()
        finally:
            process.kill()


def test_a_trace_goes_from_the_call_through_the_operation_to_the_event() -> None:
    collector, server = Collector(), grpc.server(ThreadPoolExecutor(2))
    collector_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with short_folder() as folder:
            environment = {
                "MEDQ_EMBEDDING_OTLP_ENDPOINT": f"127.0.0.1:{port}",
                "OTEL_BSP_SCHEDULE_DELAY": "200",  # milliseconds between two exports
            }
            ingest_in_a_process(folder, environment, collector)
    finally:
        server.stop(0).wait()
    assert collector.services == {"medq-embedding"}
    spans = {span.name: span for span in collector.spans if span.trace_id.hex() == TRACE}
    call = spans["/medq.embedding.v1.EmbeddingService/StartIngest"]
    operation = spans["embedding Ingest"]
    assert call.parent_span_id.hex() == PARENT
    assert operation.parent_span_id == call.span_id
    attributes = {attribute.key: attribute.value.string_value for attribute in operation.attributes}
    assert (attributes["medq.run_id"], attributes["medq.operation_id"]) == ("run-1", "i")
    assert CONSUMED in spans
    assert not [span.name for span in collector.spans if span.name.endswith(("/Wait", "/Check"))]


def test_nothing_is_traced_without_an_endpoint() -> None:
    configure_tracing("embedding", "")()
    with grpc.insecure_channel("unix:/nowhere.sock") as channel:
        assert not is_tracing()
        assert traced_channel(channel) is channel
        assert tracing_interceptors() == []


def test_a_log_line_names_its_trace_and_a_patient_never() -> None:
    stream = io.StringIO()
    configure_logs("INFO", stream)
    with TracerProvider().get_tracer("test").start_as_current_span("work") as span:
        get_logger("embedding").info("read", patient_id="P-0815", run_id="run-1")
    line = json.loads(stream.getvalue())
    assert line["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert (line["patient_id"], line["run_id"]) == ("[redacted]", "run-1")


class Kept(SpanProcessor):
    """Keeps the spans that it gets."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def test_a_span_carries_no_text_of_an_error() -> None:
    kept, provider = Kept(), TracerProvider()
    provider.add_span_processor(WithoutTexts(kept))
    with pytest.raises(ValueError), provider.get_tracer("test").start_as_current_span("work"):  # noqa: PT011
        raise ValueError("could not convert string to float: 'DOE^JANE'")
    (span,) = kept.spans
    assert "DOE" not in span.to_json()
    assert span.status.status_code is StatusCode.ERROR
