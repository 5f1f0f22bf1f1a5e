"""The one long operation of the controller: a run, whose work is the durable workflow of `loop.py`."""

from __future__ import annotations

import threading

from medq.controller.v1 import controller_pb2 as pb
from services.controller.adapters.dbos_workflows import DbosWorkflows
from services.controller.configuration_check import resolve
from services.controller.replicas import note_replicas
from services.controller.store import RunStore
from shared.errors import Cancelled, decode_error
from shared.operations import OperationContext

_LOOK_SECONDS = 0.25
#: How long a run that was called off may take to leave the step that it is in.
_CANCEL_SECONDS = 30.0


def run(
    workflows: DbosWorkflows,
    store: RunStore,
    n_replicas: int,
    context: OperationContext,
    request: pb.StartRunRequest,
) -> str:
    """Start the workflow of a run, or go on with it, and wait until it has ended.

    Args:
        workflows: Who runs and remembers it.
        store: The rows of runs.
        n_replicas: Replicas of evaluation that a new run counts on.
        context: Of the operation.
        request: Names the run.

    Returns: The URI of its report.

    Raises:
        MedqError: The typed failure of the step that failed.
    """
    run_id = request.run_id
    if store.find(run_id) is None:
        note_replicas(store, run_id, n_replicas)
    store.create(run_id, resolve(request.config_yaml, request.base_folder).model_dump(mode="json"))
    if store.get(run_id).is_retry_asked:
        workflows.rewind(run_id)
        store.retried(run_id)
    workflows.ensure_started(run_id)
    pause = threading.Event()  # never set: a timed wait
    left = _CANCEL_SECONDS
    while (outcome := workflows.outcome(run_id)) is None:
        try:
            _show(store, context, run_id)
        except Cancelled:  # the waiting step notices too and calls its operation off
            left -= _LOOK_SECONDS
            if left < 0:
                raise
        pause.wait(_LOOK_SECONDS)
    if outcome["failure"] is not None:
        raise decode_error(outcome["failure"])
    return str(outcome["report_uri"])


def _show(store: RunStore, context: OperationContext, run_id: str) -> None:
    row = store.get(run_id)
    where = f"arm {row.arm}, round {row.round}: {row.step}" if row.step else "begins"
    context.progress(len(store.results(run_id)), 0, "steps", where)
