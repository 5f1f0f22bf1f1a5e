"""The one long operation of the controller: a run, whose work is the durable workflow of `loop/`."""

from __future__ import annotations

import threading

import grpc

from medq.controller.v1 import controller_pb2 as pb
from medq.operations.v1 import operations_pb2
from services.controller.configuration.check import resolve
from services.controller.loop.replicas import note_replicas
from services.controller.ports import Workflows
from services.controller.store.runs import RunStore
from shared.errors import Cancelled, decode_error
from shared.operation_context import OperationContext
from shared.parked import Parked
from shared.rpc.channels import Channels
from shared.rpc.operations import find, is_passing

_LOOK_SECONDS = 0.25
#: How soon a run that waits for people asks again whether they have decided, in seconds.
_LOOK_AGAIN_SECONDS = 5.0
#: The same of a paused run, in seconds: `ResumeRun` wakes it at once, unless a kill came between.
_PAUSED_SECONDS = 60.0
#: How long a run that was called off may take to leave the step that it is in.
_CANCEL_SECONDS = 30.0


class ControllerOperations:
    """The long work.

    Args:
        workflows: Who runs the loop and remembers its steps.
        store: The rows of runs.
        channels: To the services that a run may wait for.
        n_replicas: Replicas of evaluation that a new run counts on.
    """

    def __init__(self, workflows: Workflows, store: RunStore, channels: Channels, n_replicas: int) -> None:
        self._workflows = workflows
        self._store = store
        self._channels = channels
        self._n_replicas = n_replicas

    def run(self, context: OperationContext, request: pb.StartRunRequest) -> str:
        """Start the workflow of a run, or go on with it, and wait until it has ended.

        Returns: The URI of its report.

        Raises:
            Parked: A step waits for people, or the run is paused.
            MedqError: The typed failure of the step that failed.
        """
        run_id = request.run_id
        if self._store.find(run_id) is None:
            note_replicas(self._store, run_id, self._n_replicas)
        configuration = resolve(request.config_yaml, request.base_folder)
        self._store.create(run_id, configuration.model_dump(mode="json"))
        if not context.is_cancelled():  # a run that was called off is taken up, so that it calls off what it waits for
            self._park(run_id)
        row = self._store.get(run_id)
        # A workflow that has ended without its report here had tables that were restored from an older copy.
        if row.is_retry_asked or not row.report_uri:
            self._workflows.rewind(run_id)
            self._store.retried(run_id)
        self._workflows.ensure_started(run_id)
        pause = threading.Event()  # never set: a timed wait
        left = _CANCEL_SECONDS
        while (outcome := self._workflows.outcome(run_id)) is None:
            if self._workflows.is_suspended(run_id):
                self._park(run_id)
                self._workflows.ensure_started(run_id)
            try:
                self._show(context, run_id)
            except Cancelled:  # the waiting step notices too and calls its operation off
                left -= _LOOK_SECONDS
                if left < 0:
                    raise
            pause.wait(_LOOK_SECONDS)
        if outcome["failure"] is not None:
            raise decode_error(outcome["failure"])
        return str(outcome["report_uri"])

    def _park(self, run_id: str) -> None:
        """Give the run's thread back while the step that it is at waits for people, or while it is paused between two steps.

        Raises:
            Parked: It does, or is, or the service that would know does not answer for now.
        """
        row = self._store.get(run_id)
        if not row.operation_id:
            self._stay_paused(run_id)
            return
        try:
            found = find(self._channels[row.service], row.operation_id)
        except grpc.RpcError as error:
            if not (is_passing(error) and self._workflows.is_suspended(run_id)):
                return  # the step itself is patient with a service that does not answer
            raise Parked(0, 0, "", "waits for people", seconds=_LOOK_AGAIN_SECONDS) from None
        if found is not None and found.state == operations_pb2.OPERATION_STATE_WAITING:
            shown = found.progress
            raise Parked(shown.done, shown.total, shown.unit, shown.message, seconds=_LOOK_AGAIN_SECONDS)

    def _stay_paused(self, run_id: str) -> None:
        if self._store.is_pause_asked(run_id):
            raise Parked(
                self._store.n_results(run_id), 0, "steps", "paused", seconds=_PAUSED_SECONDS,
                is_due=lambda: not self._store.is_pause_asked(run_id),
            )  # fmt: skip

    def _show(self, context: OperationContext, run_id: str) -> None:
        row = self._store.get(run_id)
        where = f"arm {row.arm}, round {row.round}: {row.step}" if row.step else "begins"
        context.progress(self._store.n_results(run_id), 0, "steps", where)
