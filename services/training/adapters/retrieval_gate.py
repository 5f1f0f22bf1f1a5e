"""The leakage gate: the retrieval service says which images touch a guarded set. It fails closed."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from medq.retrieval.v1 import retrieval_pb2 as pb
from medq.retrieval.v1 import retrieval_pb2_grpc as pb_grpc
from services.training.ports import Leak

#: Ids of one call, so that a request stays below gRPC's 4 MiB.
_IDS_PER_CALL = 20_000


class RetrievalGate:
    """A `LeakageGate` in the retrieval service.

    Args:
        channel: To the retrieval service.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = pb_grpc.RetrievalServiceStub(channel)

    def check(
        self,
        image_ids: Sequence[str],
        image_set_uris: Sequence[str],
        guard_uris: Sequence[str],
        phash_distance: int,
    ) -> dict[str, Leak]:
        """What of the images leaks; see the port."""
        leaks: dict[str, Leak] = {}
        for start in range(0, len(image_ids), _IDS_PER_CALL):
            request = pb.CheckLeakageRequest(
                image_set_uris=image_set_uris,
                image_ids=image_ids[start : start + _IDS_PER_CALL],
                guard_uris=guard_uris,
                phash_distance=phash_distance,
            )
            for leak in self._stub.CheckLeakage(request).leaks:
                leaks.setdefault(leak.image_id, Leak(leak.reason, leak.guard_image_id))
        return leaks
