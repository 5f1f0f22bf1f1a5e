"""The metrics that every service has; those of one service stand beside what they count.

Each is declared in `infra/telemetry/metrics.yaml`; a test holds the two together.

Names: `medq_<service or part>_<thing>_<unit>[_total]`, base units, labels from closed sets, never an id.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, start_http_server

#: Time from the arrival of a call to its end, whatever the end.
RPC_SECONDS = Histogram(
    "medq_rpc_server_seconds",
    "Time to answer a gRPC call.",
    ["service", "method", "code"],
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 20, 60),
)
#: Operations that reached an end, by that end.
OPERATIONS = Counter("medq_operations_ended_total", "Operations that ended.", ["service", "kind", "state"])
#: Operations that a process of this service works on now.
OPERATIONS_RUNNING = Gauge("medq_operations_running", "Operations at work in this process.", ["service"])
#: Operations of this service that wait for a process.
OPERATIONS_WAITING = Gauge(
    "medq_operations_waiting", "Operations of the service that no process works on.", ["service"]
)
#: Since the last sign of progress of the operation at work that is silent for the longest time.
OPERATIONS_SILENT_SECONDS = Gauge(
    "medq_operations_silent_seconds", "Longest time for which an operation at work has shown no progress.", ["service"]
)
#: Events given to a handler: "done", or "failed" (they come again).
EVENTS_HANDLED = Counter(
    "medq_events_handled_total",
    "Events given to a handler, by whether it took them (done) or raised (failed).",
    ["group", "type", "outcome"],
)
#: Events that went to `<topic>.dlq`.
EVENTS_DEAD_LETTERED = Counter("medq_events_dead_lettered_total", "Events that a group gave up.", ["group", "type"])
#: Events that a group has yet to handle.
EVENTS_LAG = Gauge("medq_events_lag_events", "Events that a group has not yet handled.", ["group"])
#: Events in the outbox of this service.
OUTBOX_WAITING = Gauge("medq_outbox_waiting_events", "Events that are committed and not yet published.", ["service"])


def serve_metrics(port: int, host: str = "0.0.0.0") -> None:
    """Serve `/metrics` in a thread of its own. Port 0 serves nothing."""
    if port:
        start_http_server(port, addr=host)
