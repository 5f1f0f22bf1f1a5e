"""The moment at which a paused run is left: before operations that nobody has started, and nowhere else."""

from __future__ import annotations

import pytest

from medq.oracle.v1 import oracle_pb2
from services.controller.adapters.operations_control import OperationsControl
from services.controller.loop.calls import Calls, Collaborators
from services.controller.loop.other_services import IMPORT_KNOWN_ANSWERS
from services.controller.migrations import SCHEMA
from services.controller.ports import Suspended
from services.controller.store.ledger import Ledger
from services.controller.store.runs import RunStore
from shared.database import create_engine, sqlite_url
from shared.rpc.channels import Channels
from tests.support.controller_house import House
from tests.support.servers import short_folder

STEP = "import_known_answers"


@pytest.fixture
def calls():
    """The steps of a run that is paused, and the services that they call."""
    with short_folder() as folder:
        house = House(folder)
        engine = create_engine(sqlite_url(folder / "controller.sqlite"))
        SCHEMA.migrate_file(engine)
        store = RunStore(engine)
        store.create("r1", {})
        store.pause("r1")
        with Channels(house.targets) as channels:
            parts = Collaborators(channels, house.objects, store, Ledger(engine), None, OperationsControl())
            yield Calls("r1", "-", 0, parts, lambda name, function: function()), house.services
        engine.dispose()
        house.server.stop(0).wait()


def operate(calls):
    return calls.operate(STEP, IMPORT_KNOWN_ANSWERS, oracle_pb2.StartImportKnownAnswersRequest(benchmark_uri="b"))


def test_a_paused_run_is_left_before_an_operation_is_started(calls):
    loop, services = calls
    with pytest.raises(Suspended):
        operate(loop)
    run = loop.collaborators.store.get("r1")
    assert (run.step, run.operation_id, services.starts) == (STEP, "", [])


def test_an_operation_that_was_started_before_a_kill_is_waited_for(calls):
    loop, services = calls
    loop.collaborators.store.move("r1", "-", 0, STEP, f"r1/-/0/{STEP}", "oracle")
    assert operate(loop).uri
    assert services.starts == [f"r1/-/0/{STEP}"]


@pytest.mark.parametrize(("arm", "round_number", "step"), [("a", 0, STEP), ("-", 1, STEP), ("-", 0, "ingest_pool")])
def test_an_operation_of_another_step_that_failed_keeps_nobody_from_pausing(calls, arm, round_number, step):
    loop, services = calls
    loop.collaborators.store.move("r1", arm, round_number, step, "one that failed", "oracle")
    with pytest.raises(Suspended):
        operate(loop)
    assert services.starts == []
    assert loop.collaborators.store.get("r1").operation_id == ""
