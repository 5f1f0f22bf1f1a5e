"""Keeps a benchmark apart from guarded sets, as dev from test: retrieval decides, and an error is never taken for "no leak"."""

from __future__ import annotations

from collections.abc import Sequence

from medq.evaluation.v1.evaluation_pb2 import StartImportBenchmarkRequest
from medq.retrieval.v1.retrieval_pb2 import CheckLeakageRequest
from medq.retrieval.v1.retrieval_pb2_grpc import RetrievalServiceStub
from shared.rows.benchmark import Item, Rejection
from shared.rpc.channels import Channels
from shared.rpc.leakage_gate import check_leakage

_REMEDY = "keep the patient, the source or the picture in one of the sets only"


def keep_apart(
    channels: Channels, request: StartImportBenchmarkRequest, items: Sequence[Item]
) -> tuple[list[Item], list[Rejection]]:
    """The items whose images touch no guarded set, and the refusals of the others.

    Raises:
        grpc.RpcError: It could not be checked.
    """
    if not request.guard_uris:
        return list(items), []
    question = CheckLeakageRequest(
        image_set_uris=[request.image_set_uri],
        guard_uris=request.guard_uris,
        phash_distance=request.phash_distance,
        twin_similarity=request.twin_similarity,
    )
    leaks = check_leakage(RetrievalServiceStub(channels["retrieval"]), question, (item.image_id for item in items))
    refused = [
        Rejection(name=item.item_id, reason=f"leak: {leaks[item.image_id].reason} with a guarded set", remedy=_REMEDY)
        for item in items
        if item.image_id in leaks
    ]
    return [item for item in items if item.image_id not in leaks], refused
