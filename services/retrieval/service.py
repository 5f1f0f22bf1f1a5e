"""The gRPC face of retrieval: checks requests, searches, notes long work."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
import numpy as np

from medq.retrieval.v1 import retrieval_pb2 as pb
from medq.retrieval.v1 import retrieval_pb2_grpc as pb_grpc
from services.retrieval.domain.leakage import Guards, ImageRecord, Leak
from services.retrieval.domain.sampling import BY_CONTRAST, BY_REFERENCE, WITHOUT_FAILURES, Strategy
from services.retrieval.operations import SEARCH_SECONDS, STRATEGIES
from services.retrieval.work.image_sets import iterate_records
from services.retrieval.work.indexes import Indexes
from shared.errors import InvalidArgument, NotFound
from shared.objects.store import ObjectStore
from shared.operations import Operations
from shared.perceptual_hash import MAX_DISTANCE
from shared.rpc.checks import require_between, require_caller, require_round, require_text, require_uri, require_uris
from shared.rpc.messages import MOST_VALUES

MOST_HITS = 1000
#: Most guarded images that are held against the others: some 1 KiB of memory each.
MOST_GUARDS = 500_000
#: Most images of an answer, which names each that leaks; as many ids as a request may name.
MOST_IDS = MOST_VALUES
_PIECE = 5000  # between two looks at whether somebody waits


class Retrieval(pb_grpc.RetrievalServiceServicer):
    """Serves `medq.retrieval.v1.RetrievalService`.

    Args:
        indexes: The indexes.
        objects: Where image sets lie.
        operations: Where long work is noted.
    """

    def __init__(self, indexes: Indexes, objects: ObjectStore, operations: Operations) -> None:
        self._indexes = indexes
        self._objects = objects
        self._operations = operations

    def StartIndexImages(
        self, request: pb.StartIndexImagesRequest, context: grpc.ServicerContext
    ) -> pb.StartIndexImagesResponse:
        """See the proto."""
        require_uri("image_set_uri", request.image_set_uri)
        return pb.StartIndexImagesResponse(operation_id=self._operations.start(request))

    def StartSelectSamples(
        self, request: pb.StartSelectSamplesRequest, context: grpc.ServicerContext
    ) -> pb.StartSelectSamplesResponse:
        """See the proto."""
        require_text("run_id", request.run_id)
        require_text("arm", request.arm)
        if request.strategy not in STRATEGIES:
            names = ", ".join(STRATEGIES.values())
            raise InvalidArgument(
                "The strategy must be set.", field="strategy", value=request.strategy, remedy=f"Use one of {names}."
            )
        strategy = STRATEGIES[request.strategy]
        if request.failures_uri or strategy not in WITHOUT_FAILURES:
            require_uri("failures_uri", request.failures_uri)
        require_between("budget", request.budget, 1, 10_000_000)
        if not -1 < request.tau_sim < 1:
            remedy = "A cosine between -1 and 1, ends excluded; the paper has 0.75."
            raise InvalidArgument(
                "The threshold is out of range.", field="tau_sim", value=request.tau_sim, remedy=remedy
            )
        require_between("tau_pool_share", request.tau_pool_share, 0, 1)
        if strategy in BY_CONTRAST or strategy is Strategy.NOVELTY:
            require_between("neighbours", request.neighbours, 1, 100)
        require_between("alpha", request.alpha, 0, 100)
        require_between("phash_distance", request.phash_distance, 0, MAX_DISTANCE)
        require_between("twin_similarity", request.twin_similarity, 0, 1)
        require_round(request.round)
        require_uris("guard_uris", request.guard_uris)
        require_uris("pool_uris", request.pool_uris, least=1)
        for field in ("questions_uri", "generations_uri"):
            if getattr(request, field) or strategy is Strategy.UNCERTAINTY:
                require_uri(field, getattr(request, field))
        require_uris("reference_uris", request.reference_uris, least=int(strategy in BY_REFERENCE))
        return pb.StartSelectSamplesResponse(operation_id=self._operations.start(request))

    def SearchSimilar(
        self, request: pb.SearchSimilarRequest, context: grpc.ServicerContext
    ) -> pb.SearchSimilarResponse:
        """See the proto."""
        require_between("limit", request.limit, 1, MOST_HITS)
        vector = np.array(request.vector, dtype=np.float32)
        if not abs(float(np.linalg.norm(vector.astype(np.float64))) - 1.0) <= 1e-3:
            remedy = "Send a vector of the serving encoder, divided by its norm."
            raise InvalidArgument("The vector is not of unit norm.", field="vector", value=len(vector), remedy=remedy)
        encoder_id, index = self._indexes.serving(request.encoder_id)
        with SEARCH_SECONDS.labels("interactive").time():
            hits = index.search(vector, request.limit, modality=request.modality, split=request.split) if index else []
        return pb.SearchSimilarResponse(
            encoder_id=encoder_id,
            images=[
                pb.SimilarImage(
                    image_id=hit.image.image_id,
                    similarity=hit.similarity,
                    modality=hit.image.modality,
                    image_uri=hit.image.image_uri,
                )
                for hit in hits
            ],
        )

    def CheckLeakage(self, request: pb.CheckLeakageRequest, context: grpc.ServicerContext) -> pb.CheckLeakageResponse:
        """See the proto."""
        require_uris("image_set_uris", request.image_set_uris, least=1)
        require_uris("guard_uris", request.guard_uris)
        require_between("phash_distance", request.phash_distance, 0, MAX_DISTANCE)
        require_between("twin_similarity", request.twin_similarity, 0, 1)
        candidates = self._candidates(request, context)
        held = _held(iterate_records(self._objects, request.guard_uris), "guard_uris", MOST_GUARDS, context)
        guards = Guards(held, phash_distance=request.phash_distance, twin_similarity=request.twin_similarity)
        leaks: list[Leak] = []
        for start in range(0, len(candidates), _PIECE):
            require_caller(context)
            leaks += guards.leaks(candidates[start : start + _PIECE])
        # An image that two sets describe stands there twice.
        first = {leak.image_id: leak for leak in reversed(leaks)}
        return pb.CheckLeakageResponse(
            leaks=[
                pb.Leak(image_id=image_id, reason=leak.reason.value, guard_image_id=leak.guard_image_id)
                for image_id, leak in sorted(first.items())
            ]
        )

    def _candidates(self, request: pb.CheckLeakageRequest, context: grpc.ServicerContext) -> list[ImageRecord]:
        """Those that are asked for among the records of the sets, which are not held; without ids, all.

        Raises:
            InvalidArgument: They are too many.
            NotFound: One that is asked for is in no set.
        """
        asked = set(request.image_ids)
        records = iterate_records(self._objects, request.image_set_uris)
        named = (record for record in records if not asked or record.image_id in asked)
        candidates = _held(named, "image_ids", MOST_IDS if not asked else MOST_GUARDS, context)
        unknown = sorted(asked - {record.image_id for record in candidates})
        if unknown:
            remedy = "Name the image set that describes it."
            raise NotFound("An image is in none of the sets.", field="image_ids", value=unknown[0], remedy=remedy)
        return candidates

    def GetPool(self, request: pb.GetPoolRequest, context: grpc.ServicerContext) -> pb.GetPoolResponse:
        """See the proto."""
        serving = self._indexes.serving_id()
        encoder_id = request.encoder_id or serving
        counts = self._indexes.filled(encoder_id).count_by_split() if encoder_id else {}
        return pb.GetPoolResponse(
            n_images=sum(counts.values()),
            n_by_split=counts,
            encoder_id=encoder_id,
            serving_encoder_id=serving,
            encoder_ids=self._indexes.encoder_ids(),
        )

    def SwitchEncoder(
        self, request: pb.SwitchEncoderRequest, context: grpc.ServicerContext
    ) -> pb.SwitchEncoderResponse:
        """See the proto."""
        require_text("encoder_id", request.encoder_id)
        before = self._indexes.switch(request.encoder_id, request.is_smaller_allowed)
        return pb.SwitchEncoderResponse(previous_encoder_id=before)


def _held(records: Iterable[ImageRecord], field: str, most: int, context: grpc.ServicerContext) -> list[ImageRecord]:
    """The records as a list, read no further than to `most` and while somebody waits for it."""
    held: list[ImageRecord] = []
    for record in records:
        held.append(record)
        if len(held) > most:
            raise InvalidArgument(
                "These are too many images.", field=field, value=f"above {most}", remedy=f"Ask for {most} at a time."
            )
        if len(held) % _PIECE == 0:
            require_caller(context)
    return held
