"""The controller of a state folder that no process works on: it shows runs and reports, and goes on with nothing.

The database is opened for reading alone and without the folder's lock: a process that takes the folder meanwhile can.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import sqlalchemy as sa

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import add_ControllerServiceServicer_to_server
from medq.operations.v1 import operations_pb2
from medq.operations.v1.operations_pb2_grpc import add_OperationsServiceServicer_to_server
from services.controller.adapters.operations_control import OperationsControl
from services.controller.loop.calls import Collaborators
from services.controller.migrations import SCHEMA
from services.controller.report.reports import Reports
from services.controller.service import Controller
from services.controller.store.egress import EgressLog
from services.controller.store.ledger import Ledger
from services.controller.store.runs import RunStore
from shared.errors import FailedPrecondition
from shared.objects.folder import FolderObjectStore
from shared.operation_table import Operation
from shared.operations import Operations
from shared.resources import database_file
from shared.rpc.channels import Channels
from shared.rpc.interceptors import ErrorInterceptor
from shared.rpc.operations import TERMINAL_STATES, OperationsServicer

_STOPPED = "No process works on it; the command that started it goes on where it was."


class RestingController(Controller):
    """A controller whose database cannot be written; a run that has not ended is "stopped"."""

    def PauseRun(self, request: pb.PauseRunRequest, context: grpc.ServicerContext) -> pb.PauseRunResponse:
        """Refused: nothing is at work that could be paused."""
        raise self._refused(request.run_id)

    def ResumeRun(self, request: pb.ResumeRunRequest, context: grpc.ServicerContext) -> pb.ResumeRunResponse:
        """Refused: nothing here would go on."""
        raise self._refused(request.run_id)

    def _refused(self, run_id: str) -> FailedPrecondition:
        """Why a run is neither paused nor resumed; NotFound where it is none."""
        self._run(run_id)
        return _refusal(run_id)

    def _runs(self, operations: Sequence[Operation]) -> list[pb.Run]:
        runs = super()._runs(operations)
        for run, operation in zip(runs, operations, strict=True):
            if not operation.is_terminal:
                run.state, run.message = "stopped", _STOPPED
        return runs


class RestingOperations(OperationsServicer):
    """The runs as operations; none is called off."""

    def CancelOperation(
        self, request: operations_pb2.CancelOperationRequest, context: grpc.ServicerContext
    ) -> operations_pb2.CancelOperationResponse:
        """Refused, as nothing is at work; what has ended stays as it is."""
        found = self.GetOperation(operations_pb2.GetOperationRequest(operation_id=request.operation_id), context)
        if found.operation.state not in TERMINAL_STATES:
            raise _refusal(request.operation_id)
        return operations_pb2.CancelOperationResponse(operation=found.operation)


def _refusal(run_id: str) -> FailedPrecondition:
    return FailedPrecondition(
        "No process works on this folder, so its runs are neither paused nor resumed, nor called off.",
        field="run_id",
        value=run_id,
        remedy="Start `medq serve --out FOLDER`, or `medq run` again, and repeat the command beside it.",
    )


@contextmanager
def resting(state_folder: Path) -> Iterator[dict[str, str]]:
    """Serve it on a socket while the context lasts.

    Yields: Its target by its name.

    Raises:
        FailedPrecondition: The folder has no database of this release.
    """
    engine = _open(state_folder)
    store, ledger, objects = RunStore(engine), Ledger(engine), FolderObjectStore(state_folder / "objects")
    reports, control = Reports(objects, store, ledger), OperationsControl()
    collaborators = Collaborators(Channels({}), objects, store, ledger, reports, control)
    operations = Operations("controller", engine, {}, owner="", lease_seconds=0)
    server = grpc.server(ThreadPoolExecutor(2), interceptors=[ErrorInterceptor("controller")])
    add_ControllerServiceServicer_to_server(
        RestingController(operations, collaborators, {}, (), EgressLog(engine)), server
    )
    add_OperationsServiceServicer_to_server(RestingOperations(operations, 1, objects), server)
    with tempfile.TemporaryDirectory(prefix="medq-") as folder:
        target = f"unix:{folder}/controller.sock"
        server.add_insecure_port(target)
        server.start()
        try:
            yield {"controller": target}
        finally:
            server.stop(0).wait()
            engine.dispose()


def _open(state_folder: Path) -> sa.Engine:
    """The controller's database, for reading alone; nothing is made or migrated."""
    file = database_file(state_folder, SCHEMA)
    url = sa.URL.create("sqlite", database=file.absolute().as_uri(), query={"mode": "ro", "uri": "true"})
    engine = sa.create_engine(url, hide_parameters=True)
    try:
        with engine.connect() as connection:
            is_current = SCHEMA.is_current(connection)
    except sa.exc.DatabaseError:  # there is none, or it is no database
        is_current = False
    if not is_current:
        engine.dispose()
        raise FailedPrecondition(
            "No process works on this folder, and it has no runs that this release can read.",
            field="out",
            value=state_folder.parent.name,
            remedy="Start or continue with `medq run --config FILE --out FOLDER`, or `medq serve --out FOLDER`.",
        )
    return engine
