"""A folder that no process works on: what its controller tells of the runs, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from medq.operations.v1.operations_pb2 import OPERATION_STATE_SUCCEEDED, CancelOperationRequest
from medq.operations.v1.operations_pb2_grpc import OperationsServiceStub
from services.controller.migrations import SCHEMA
from services.controller.store.runs import RunStore
from services.resting import resting
from shared.database import create_engine, sqlite_url
from shared.errors import FailedPrecondition, NotFound
from shared.operation_rows import OperationRows
from shared.operation_table import SUCCEEDED
from shared.resources import database_file
from shared.rpc.channels import Channels
from shared.rpc.ownership import own
from tests.support.controller_house import error_of

KIND = pb.StartRunRequest.DESCRIPTOR.full_name


class Worker:
    """A process that works on a folder; `leave` ends it as a kill does: what is noted stays as it is."""

    def __init__(self, state: Path) -> None:
        file = database_file(state, SCHEMA)
        (state / "objects").mkdir(parents=True, exist_ok=True)
        self._lock = own(state)
        self._engine = create_engine(sqlite_url(file))
        SCHEMA.migrate_file(self._engine)
        self.operations = OperationRows(self._engine, "controller", 60)
        self.store = RunStore(self._engine)

    def begin(self, run_id: str) -> None:
        self.operations.insert(run_id, KIND, pb.StartRunRequest(run_id=run_id).SerializeToString(), run_id)
        self.operations.claim(run_id)
        self.store.create(run_id, {})
        self.store.move(run_id, "failure_driven", 1, "train", f"{run_id}/failure_driven/1/train", "training")

    def end(self, run_id: str) -> None:
        self.store.end(run_id, "failure_driven: plateau", "", "medq://report")
        self.operations.finish(run_id, 1.0, state=SUCCEEDED, result_uri="medq://report")

    def leave(self) -> None:
        self._engine.dispose()
        self._lock.release()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "out" / "state"


def runs_of(targets: dict[str, str]) -> dict[str, pb.Run]:
    with Channels(targets) as channels:
        stub = ControllerServiceStub(channels["controller"])
        return {run.run_id: run for run in stub.ListRuns(pb.ListRunsRequest()).runs}


def content_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder, but for what SQLite itself has beside a database that is open."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".sqlite-shm"]
    content = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {name: data for name, data in content.items() if data or not name.endswith("-wal")}


def test_a_run_that_was_left_in_the_middle_is_stopped_where_it_was(state: Path):
    worker = Worker(state)
    worker.begin("run")
    worker.leave()
    with resting(state) as targets:
        run = runs_of(targets)["run"]
    assert (run.state, run.arm, run.round, run.step) == ("stopped", "failure_driven", 1, "train")
    assert "goes on" in run.message


def test_a_run_that_has_ended_stays_as_it_ended(state: Path):
    worker = Worker(state)
    worker.begin("run")
    worker.end("run")
    worker.leave()
    with resting(state) as targets:
        run = runs_of(targets)["run"]
    assert (run.state, run.message) == ("succeeded", "failure_driven: plateau")


def test_who_looks_changes_nothing(state: Path):
    worker = Worker(state)
    worker.begin("run")
    worker.leave()
    before = content_of(state)
    with resting(state) as targets, grpc.insecure_channel(targets["controller"]) as channel:
        ControllerServiceStub(channel).ListRuns(pb.ListRunsRequest())
        cancel = OperationsServiceStub(channel).CancelOperation
        refused = error_of(cancel, CancelOperationRequest(operation_id="run"))
    assert isinstance(refused, FailedPrecondition)
    assert "medq serve" in refused.remedy
    assert content_of(state) == before


def test_to_call_off_a_run_that_has_ended_is_answered_with_its_end(state: Path):
    worker = Worker(state)
    worker.begin("run")
    worker.end("run")
    worker.leave()
    with resting(state) as targets, grpc.insecure_channel(targets["controller"]) as channel:
        cancel = OperationsServiceStub(channel).CancelOperation
        assert cancel(CancelOperationRequest(operation_id="run")).operation.state == OPERATION_STATE_SUCCEEDED


def test_a_run_is_neither_paused_nor_resumed_here(state: Path):
    worker = Worker(state)
    worker.begin("run")
    worker.store.pause("run")
    worker.leave()
    with resting(state) as targets, grpc.insecure_channel(targets["controller"]) as channel:
        stub = ControllerServiceStub(channel)
        for refused in (
            error_of(stub.PauseRun, pb.PauseRunRequest(run_id="run")),
            error_of(stub.ResumeRun, pb.ResumeRunRequest(run_id="run")),
        ):
            assert isinstance(refused, FailedPrecondition)
            assert "medq serve" in refused.remedy
        assert isinstance(error_of(stub.PauseRun, pb.PauseRunRequest(run_id="other")), NotFound)
        run = runs_of(targets)["run"]
    assert (run.state, run.is_pause_asked) == ("stopped", True)


def test_a_process_that_begins_meanwhile_is_not_kept_out(state: Path):
    first = Worker(state)
    first.begin("run")
    first.leave()
    with resting(state) as targets:
        second = Worker(state)
        second.end("run")
        assert runs_of(targets)["run"].state == "succeeded"
    second.leave()


def test_what_a_process_has_not_yet_written_back_is_seen(state: Path):
    """A kill leaves the newest rows in SQLite's write-ahead log alone."""
    worker = Worker(state)
    worker.begin("run")
    with resting(state) as targets:
        assert runs_of(targets)["run"].step == "train"
    worker.leave()


def test_a_folder_without_a_database_is_refused_and_not_made(state: Path):
    with pytest.raises(FailedPrecondition) as refused, resting(state):
        pass
    assert (refused.value.field, refused.value.value) == ("out", "out")
    assert "medq run" in refused.value.remedy
    assert not state.parent.exists()


@pytest.mark.parametrize("content", [b"", b"no database " * 200])
def test_a_database_that_cannot_be_read_is_refused(state: Path, content: bytes):
    file = database_file(state, SCHEMA)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(FailedPrecondition), resting(state):
        pass
    assert file.read_bytes() == content
