"""The leakage gate as a service asks for it: which images touch a guarded set. It fails closed: an error is never "no leak"."""

from __future__ import annotations

from collections.abc import Iterable

from medq.retrieval.v1.retrieval_pb2 import CheckLeakageRequest, Leak
from medq.retrieval.v1.retrieval_pb2_grpc import RetrievalServiceStub

#: Ids of one call, so that a request stays below gRPC's 4 MiB.
_IDS_PER_CALL = 20_000


def check_leakage(
    retrieval: RetrievalServiceStub, question: CheckLeakageRequest, image_ids: Iterable[str]
) -> dict[str, Leak]:
    """Ask about any number of images.

    Args:
        retrieval: The service that knows.
        question: Where the images are described, what is guarded, and what is too near; without ids.
        image_ids: The images.

    Returns: Those that leak, by id.

    Raises:
        grpc.RpcError: It could not be checked.
    """
    asked = sorted(set(image_ids))
    leaks: dict[str, Leak] = {}
    for start in range(0, len(asked), _IDS_PER_CALL):
        call = CheckLeakageRequest()
        call.CopyFrom(question)
        call.image_ids.extend(asked[start : start + _IDS_PER_CALL])
        leaks.update((leak.image_id, leak) for leak in retrieval.CheckLeakage(call).leaks)
    return leaks
