"""PostgreSQL is killed in the middle of operations and of a run, and comes back: nothing is lost, nothing is doubled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import grpc
import pytest

from medq.operations.v1 import operations_pb2 as pb
from medq.operations.v1 import operations_pb2_grpc as pb_grpc
from medq.oracle.v1.oracle_pb2 import StartAnnotateRequest
from services.oracle.migrations import SCHEMA
from services.oracle.store.annotations import OUTBOX, OracleStore
from shared.errors import Unavailable
from shared.events.bus import Event
from shared.events.sqlite import SqliteEventBus
from shared.operation_context import OperationContext
from shared.operations import Operations
from shared.rows.annotation import Decision
from shared.rpc.operations import await_operation
from shared.rpc.server import Service
from shared.settings import ServiceSettings
from shared.status import from_rpc_error
from tests.support.databases import postgres_database
from tests.support.events import each
from tests.support.own_server import OwnServer, own_server
from tests.support.rows import build
from tests.support.servers import running, short_folder

TOPIC = "medq.oracle.annotation-reviewed.v1"
N_DECISIONS = 12
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server("postgres") as server:
        yield server


class Annotating:
    """An operation that appends decisions one by one, and stands still in the middle the first time."""

    def __init__(self, store: OracleStore) -> None:
        self.store = store
        self.is_half_done = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, context: OperationContext, request: StartAnnotateRequest) -> str:
        for number in range(N_DECISIONS):
            if number == N_DECISIONS // 2:
                self.is_half_done.set()
                self.go_on.wait(120)
            name = f"d{number:02d}"
            event = Event(name, TOPIC, "medq/oracle", "run", b"", datetime.now(UTC))
            self.store.append_decision("work", build(Decision, decision_id=name), [event])
        return ""


def published(bus: SqliteEventBus) -> list[str]:
    ids: list[str] = []
    consumer = bus.consumer("group", {TOPIC: each(lambda event: ids.append(event.id))})
    while len(ids) < N_DECISIONS and consumer.poll(30):
        pass
    return ids


def test_an_operation_goes_on_after_its_database_was_killed(server: OwnServer) -> None:
    with short_folder() as folder, postgres_database(server.endpoint) as database:
        engine = database.engine(*SCHEMA.tables)
        bus = SqliteEventBus(folder / "events.sqlite")
        work = Annotating(OracleStore(engine))
        operations = Operations("oracle", engine, {StartAnnotateRequest: work}, owner="one", lease_seconds=30)
        name = "medq.operations.v1.OperationsService"
        service = Service("oracle", name, lambda _: None, operations, outbox=OUTBOX, engine=engine)
        settings = ServiceSettings(state_folder=folder, listen=f"unix:{folder}/o.sock", drain_seconds=0.2)
        with running(service, bus, settings) as channel:
            operations.start(StartAnnotateRequest(operation_id="a"))
            assert work.is_half_done.wait(60)
            server.kill()
            work.go_on.set()
            refused = _refusal(channel)
            server.up()
            ended = await_operation(channel, "a")
            assert published(bus) == [f"d{number:02d}" for number in range(N_DECISIONS)]
        assert isinstance(refused, Unavailable)
        assert ended.attempts >= 2
        stored = [decision.decision_id for decision in work.store.decisions("work")]
        assert stored == [f"d{number:02d}" for number in range(N_DECISIONS)]
        assert OUTBOX.waiting(engine) == 0
        bus.close()


def _refusal(channel: grpc.Channel) -> Exception:
    """How a call ends once the last process of a killed PostgreSQL has gone."""
    stub = pb_grpc.OperationsServiceStub(channel)
    while True:
        try:
            stub.GetOperation(pb.GetOperationRequest(operation_id="a"))
        except grpc.RpcError as error:
            return from_rpc_error(error)
