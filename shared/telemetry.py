"""The metrics that every service has. Each is declared in `infra/telemetry/metrics.yaml`; a test holds the two together.

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
OPERATIONS_RUNNING = Gauge("medq_operations_running", "Operations at work.", ["service"])


def serve_metrics(port: int, host: str = "0.0.0.0") -> None:
    """Serve `/metrics` in a thread of its own. Port 0 serves nothing."""
    if port:
        start_http_server(port, addr=host)
