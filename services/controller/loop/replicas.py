"""An evaluation over several replicas: first the answers, a shard an operation, then the evaluation as ever, which finds them."""

from __future__ import annotations

from medq.evaluation.v1.evaluation_pb2 import StartEvaluateRequest
from services.controller.loop.calls import Calls
from services.controller.loop.other_services import EVALUATE
from services.controller.loop.works import Work
from services.controller.store.runs import SHARED_ARM, Result, RunStore

_STEP = "evaluation_replicas"


def note_replicas(store: RunStore, run_id: str, n_replicas: int) -> None:
    """Keep with a run that is about to be created how many replicas it counts on.

    The steps of its loop depend on the number, so it stays what it is when the run goes on under another setting. A run of one
    replica has no such note.
    """
    if n_replicas > 1:
        store.record(run_id, Result(SHARED_ARM, 0, _STEP, detail={"n": n_replicas}))


def shards_of(calls: Calls, step: str, request: StartEvaluateRequest) -> list[Work]:
    """The operations that make the answers of an evaluation, as many as the run counts replicas; none where that is one."""
    n_shards = _n_replicas(calls)
    parts = [StartEvaluateRequest() for _ in range(n_shards if n_shards > 1 else 0)]
    for shard, part in enumerate(parts):
        part.CopyFrom(request)
        part.n_shards, part.shard = n_shards, shard
    return [Work(calls, f"{step}.{shard}", EVALUATE, part) for shard, part in enumerate(parts)]


def _n_replicas(calls: Calls) -> int:
    noted = [result for result in calls.collaborators.store.results(calls.run_id) if result.step == _STEP]
    return int(noted[0].detail["n"]) if noted else 1
