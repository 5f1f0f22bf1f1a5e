"""An evaluation over several replicas: first the answers, a shard an operation, then the evaluation as ever, which finds them."""

from __future__ import annotations

from medq.evaluation.v1.evaluation_pb2 import StartEvaluateRequest
from services.controller.loop.calls import Calls
from services.controller.loop.other_services import EVALUATE
from services.controller.store.runs import SHARED_ARM, Result, RunStore

_STEP = "evaluation_replicas"


def note_replicas(store: RunStore, run_id: str, n_replicas: int) -> None:
    """Keep with a run that is about to be created how many replicas it counts on.

    The steps of its loop depend on the number, so it stays what it is when the run goes on under another setting. A run of one
    replica has no such note.
    """
    if n_replicas > 1:
        store.record(run_id, Result(SHARED_ARM, 0, _STEP, detail={"n": n_replicas}))


def answer_in_shards(calls: Calls, step: str, request: StartEvaluateRequest) -> None:
    """Have the answers of an evaluation made by as many operations as the run counts replicas; by none where that is one.

    Raises:
        MedqError: The typed failure of the first shard that failed, once all have ended.
    """
    n_shards = _n_replicas(calls)
    if n_shards > 1:
        shards = {f"{step}.{shard}": StartEvaluateRequest() for shard in range(n_shards)}
        for shard, part in enumerate(shards.values()):
            part.CopyFrom(request)
            part.n_shards, part.shard = n_shards, shard
        calls.operate_all(f"{step} shards", EVALUATE, shards)


def _n_replicas(calls: Calls) -> int:
    noted = [result for result in calls.collaborators.store.results(calls.run_id) if result.step == _STEP]
    return int(noted[0].detail["n"]) if noted else 1
