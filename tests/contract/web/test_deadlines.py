"""A service that never answers: the pages say which one, after the deadline that one setting gives."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from fastapi.testclient import TestClient

from shared.rpc.channels import DEFAULT_DEADLINE_SECONDS, Channels
from tests.support.console_pages import OURS, START, URL
from tests.support.servers import short_folder
from web.app import create_app
from web.settings import WebSettings

TASK = "0" * 32


class Silent(grpc.GenericRpcHandler):
    """Takes every call, and answers none before the test has ended.

    Attributes:
        seconds: What each method was left with when it came.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.has_ended = threading.Event()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        def wait(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.seconds[details.method.rpartition("/")[2]] = context.time_remaining()
            self.has_ended.wait()
            return b""

        return grpc.unary_unary_rpc_method_handler(wait)


@pytest.fixture
def silent() -> Iterator[tuple[Silent, str]]:
    handler = Silent()
    server = grpc.server(ThreadPoolExecutor(32), handlers=[handler])
    with short_folder() as folder:
        server.add_insecure_port(f"unix:{folder}/s.sock")
        server.start()
        yield handler, f"unix:{folder}/s.sock"
        handler.has_ended.set()
        server.stop(0).wait()


def browser_of(channels: Channels, **settings: float) -> TestClient:
    app = create_app(WebSettings(listen="127.0.0.1:8080", **settings), channels, start_token=START, owner="ann")
    client = TestClient(app, base_url=URL, raise_server_exceptions=False)
    client.get("/login", params={"token": START}, follow_redirects=False)
    return client


@pytest.mark.parametrize(
    "path", ["/runs", "/runs/r1", "/api/v1/runs", "/api/v1/runs/r1/operation", "/api/v1/egress", "/api/review/counts"]
)
def test_a_service_that_never_answers_is_named_with_what_to_do(silent: tuple[Silent, str], path: str) -> None:
    _, target = silent
    service = "oracle" if "review" in path else "controller"
    with Channels({service: target}) as channels:
        answer = browser_of(channels, call_seconds=0.2).get(path)
    assert answer.status_code == 504
    assert f"The {service} service does not answer." in answer.text
    assert "tell an operator" in answer.text


def test_one_setting_is_the_deadline_of_all_calls_but_the_long_ones(silent: tuple[Silent, str]) -> None:
    handler, target = silent
    handler.has_ended.set()  # each call is answered with nothing, which is a message without a field
    with Channels({"controller": target, "oracle": target}) as channels:
        client = browser_of(channels, call_seconds=5)
        for path in (
            "/runs", "/api/v1/runs/r1", "/api/v1/runs/r1/operation", "/api/v1/runs/r1/report", "/api/v1/runs/r1/costs",
            "/api/v1/egress", "/api/v1/runs/r1/lineage", "/api/review/counts",
        ):  # fmt: skip
            assert client.get(path).status_code == 200
        client.post("/start", data={"config_yaml": "a: 1"}, headers=OURS)
        client.post("/runs", data={"run_id": "r", "config_yaml": "a: 1", "is_agreed": "yes"}, headers=OURS)
        client.post("/api/v1/runs/r1/cancel", headers=OURS)
        client.post("/api/review/lease", json={"count": 1}, headers=OURS)
        for what, given in (("undo", {"revision": 1}), ("release", {})):
            client.post(f"/api/review/tasks/{TASK}/{what}", json=given, headers=OURS)
        body = {"revision": 1, "action": "accept", "active_seconds": 1}
        client.post(f"/api/review/tasks/{TASK}/decide", json=body, headers=OURS)
    long = {name for name, seconds in handler.seconds.items() if seconds > 6}  # gRPC rounds up
    assert long == {"EstimateRun", "GetReport", "StartRun"}
    assert max(handler.seconds.values()) <= DEFAULT_DEADLINE_SECONDS + 1
    assert handler.seconds.keys() - long == {
        "ListRuns", "GetRun", "GetOperation", "ListCosts", "ListEgress", "GetLineage", "CountTasks", "ValidateRun",
        "CancelOperation", "LeaseTasks", "UndoDecision", "ReleaseTask", "DecideTask",
    }  # fmt: skip


def test_a_service_that_is_not_there_is_named_too() -> None:
    with short_folder() as folder, Channels({"controller": f"unix:{folder}/none.sock"}) as channels:
        answer = browser_of(channels, call_seconds=0.3).get("/runs")
    assert answer.status_code in (503, 504)
    assert "The controller service" in answer.text
