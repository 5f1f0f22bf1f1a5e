"""The gauges say what waits, what is silent and what is behind; events are counted by what became of them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from medq.training.v1.training_pb2 import StartImportModelRequest
from shared.database import create_engine, sqlite_url
from shared.events.bus import Event
from shared.events.sqlite import SqliteEventBus
from shared.operation_context import OperationContext
from shared.operation_table import METADATA
from shared.operations import Operations
from shared.rpc.watch import Watch, observed

TOPIC = "medq.embedding.image-ingested.v1"


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def event(name: str) -> Event:
    return Event(id=name, type=TOPIC, source="test", key=name, data=b"", time=datetime.now(UTC))


def test_what_waits_behind_one_worker_is_shown(tmp_path: Path) -> None:
    engine = create_engine(sqlite_url(tmp_path / "watched.sqlite"))
    METADATA.create_all(engine)
    began, may_end = threading.Event(), threading.Event()

    def work(context: OperationContext, request: StartImportModelRequest) -> str:
        began.set()
        may_end.wait(30)
        return ""

    operations = Operations(
        "watched", engine, {StartImportModelRequest: work}, owner="one", lease_seconds=30, n_workers=1
    )
    for name in ("a", "b", "c"):
        operations.start(StartImportModelRequest(operation_id=name, folder_uri="f"))
    assert began.wait(30)
    watch = Watch("watched", operations, None, None, None)
    watch.look()
    assert value("medq_operations_waiting", service="watched") == 2
    assert value("medq_operations_silent_seconds", service="watched") >= 0
    may_end.set()
    operations.drain()
    watch.look()
    assert value("medq_operations_silent_seconds", service="watched") == 0
    watch.close()
    engine.dispose()


def test_lag_and_outcomes_of_events_are_counted(tmp_path: Path) -> None:
    bus = SqliteEventBus(tmp_path / "events.sqlite")

    def refuse(events: object) -> None:
        raise ValueError

    good = observed("well", {TOPIC: lambda events: None})
    bad = observed("ill", {TOPIC: refuse})
    bus.publish([event("1"), event("2")])
    assert bus.consumer("well", good).poll() == 2
    failing = bus.consumer("ill", bad)
    assert failing.poll() == 2
    assert value("medq_events_handled_total", group="well", type=TOPIC, outcome="done") == 2
    assert value("medq_events_handled_total", group="ill", type=TOPIC, outcome="failed") == 2
    assert failing.lag() == 2
    with pytest.raises(ValueError, match=r"^$"):
        bad[TOPIC]([event("3")])
    bus.close()
