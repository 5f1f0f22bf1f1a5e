"""Which images of a pool may be drawn: none that an arm used before, and none that touches a guarded set."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from medq.retrieval.v1 import retrieval_pb2 as pb
from services.retrieval.domain.leakage import Guards
from services.retrieval.store import SelectionStore
from services.retrieval.work.image_sets import iterate_records
from shared.batches import in_batches
from shared.errors import FailedPrecondition
from shared.objects.store import ObjectStore

POOL = "pool"
_GUARDED_AT_ONCE = 20_000  # images of the pool that are held against the guarded ones together


@dataclass(frozen=True)
class Eligible:
    """The images of a pool that may be drawn, those that the arm used before, and by reason how many may not be drawn."""

    ids: set[str]
    used: set[str]
    left_out: dict[str, int]


def read_eligible(objects: ObjectStore, store: SelectionStore, request: pb.StartSelectSamplesRequest) -> Eligible:
    """Hold the pool against the guarded sets and against what the arm selected before.

    An image that two sets describe stands there twice, and leaks if either description does.

    Raises:
        FailedPrecondition: The pool holds no image.
        NotFound, InvalidArgument: A dataset is not there, or no image set.
    """
    guards = Guards(
        list(iterate_records(objects, request.guard_uris)),
        phash_distance=request.phash_distance,
        twin_similarity=request.twin_similarity,
    )
    pool: set[str] = set()
    leaking: dict[str, str] = {}
    for records in in_batches(iterate_records(objects, request.pool_uris, POOL), _GUARDED_AT_ONCE):
        pool.update(record.image_id for record in records)
        for leak in guards.leaks(records):
            leaking.setdefault(leak.image_id, leak.reason.value)
    if not pool:
        raise FailedPrecondition(
            "The pool holds no image.",
            field="pool_uris",
            value=len(request.pool_uris),
            remedy='Ingest images with the split "pool" and name their image set.',
        )
    used = store.used_by_others(request.run_id, request.arm, request.operation_id)
    left_out = Counter(f"leak_{reason}" for reason in leaking.values())
    left_out["used_before"] = len(used.intersection(pool) - leaking.keys())
    return Eligible(pool - leaking.keys() - used, used & pool, dict(left_out))
