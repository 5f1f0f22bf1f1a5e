"""The generated servicer: checks each request, then notes the operation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import grpc

from medq.evaluation.v1 import evaluation_pb2 as pb
from medq.evaluation.v1 import evaluation_pb2_grpc as pb_grpc
from services.evaluation.domain.benchmark import answer_letters, options_of, refusal_of
from services.evaluation.domain.grading import AXES as GRADED_AXES
from services.evaluation.domain.grading import MOST as HIGHEST_GRADE
from services.evaluation.domain.scoring import official_choice, strict_choice
from services.evaluation.work.reading import way_of
from shared.errors import InvalidArgument
from shared.operations import Operations
from shared.paths import local_path
from shared.perceptual_hash import MAX_DISTANCE
from shared.rows.vocabulary import AXES, SPLITS
from shared.rpc.checks import require_between, require_caller, require_round, require_text, require_uri, require_uris

_MOST_SHARDS = 1000
_MOST_TOKENS = 4096
_MOST_REPLIES = 10_000
#: Replies are read at some 4 s for each MiB.
_MOST_REPLY_BYTES = 2**20
_MOST_ITEMS = 1_000_000


class Evaluation(pb_grpc.EvaluationServiceServicer):
    """Starts the operations of the service.

    Args:
        operations: Where they are noted.
        input_roots: Folders in one of which a table must lie.
    """

    def __init__(self, operations: Operations, input_roots: Sequence[Path]) -> None:
        self._operations = operations
        self._input_roots = input_roots

    def StartImportBenchmark(
        self, request: pb.StartImportBenchmarkRequest, context: grpc.ServicerContext
    ) -> pb.StartImportBenchmarkResponse:
        """See the proto."""
        require_text("items_uri", request.items_uri)
        local_path(request.items_uri, "items_uri", self._input_roots)
        require_uri("image_set_uri", request.image_set_uri)
        if request.split not in SPLITS:
            raise InvalidArgument(
                "There is no such split.",
                field="split",
                value=request.split,
                remedy=f"Choose one of {', '.join(SPLITS)}.",
            )
        require_uris("guard_uris", request.guard_uris)
        require_between("phash_distance", request.phash_distance, 0, MAX_DISTANCE)
        require_between("twin_similarity", request.twin_similarity, 0, 1)
        return pb.StartImportBenchmarkResponse(operation_id=self._operations.start(request))

    def StartEvaluate(
        self, request: pb.StartEvaluateRequest, context: grpc.ServicerContext
    ) -> pb.StartEvaluateResponse:
        """See the proto."""
        require_text("arm", request.arm)
        require_round(request.round)
        require_uri("model_uri", request.model_uri)
        require_uri("benchmark_uri", request.benchmark_uri)
        require_between("n_runs", request.n_runs, 1, 100)
        _check_sampling(request.sampling)
        if request.sampling.temperature == 0 and request.n_runs > 1:
            raise InvalidArgument(
                "At temperature 0 every run gives the same answer.",
                field="n_runs",
                value=request.n_runs,
                remedy="Choose n_runs 1, or a temperature above 0.",
            )
        if not request.extractor:
            raise InvalidArgument(
                "An extractor must be chosen.",
                field="extractor",
                value=request.extractor,
                remedy="EXTRACTOR_STRICT, or EXTRACTOR_OFFICIAL to compare with published figures.",
            )
        way_of(request)
        require_between("description_tokens", request.description_tokens, 0, _MOST_TOKENS)
        require_between("description_pass", request.description_pass, 0, HIGHEST_GRADE * len(GRADED_AXES))
        require_between("n_shards", request.n_shards, 0, _MOST_SHARDS)
        require_between("shard", request.shard, 0, max(1, request.n_shards) - 1)
        return pb.StartEvaluateResponse(operation_id=self._operations.start(request))

    def StartMineFailures(
        self, request: pb.StartMineFailuresRequest, context: grpc.ServicerContext
    ) -> pb.StartMineFailuresResponse:
        """See the proto."""
        for field in ("evaluation_uri", "benchmark_uri", "image_set_uri"):
            require_uri(field, getattr(request, field))
        if not 0 <= request.gamma < 1:
            raise InvalidArgument(
                "The failure threshold is out of range.",
                field="gamma",
                value=request.gamma,
                remedy="Choose a number from 0 to below 1; the paper's is 0.6.",
            )
        require_between("visual_weight", request.visual_weight, 0, 1)
        require_between("max_clusters", request.max_clusters, 2, 1000)
        require_between("n_runs", request.n_runs, 1, 100)
        if not request.axes or len(set(request.axes)) < len(request.axes) or not set(request.axes) <= set(AXES):
            raise InvalidArgument(
                "The axes of capabilities are not known, or one stands there twice.",
                field="axes",
                value=", ".join(request.axes),
                remedy=f"Name one or more of {', '.join(AXES)}, each once.",
            )
        require_between("min_cell_items", request.min_cell_items, 1, _MOST_ITEMS)
        require_between("min_prototype_size", request.min_prototype_size, 1, _MOST_ITEMS)
        return pb.StartMineFailuresResponse(operation_id=self._operations.start(request))

    def StartGenerate(
        self, request: pb.StartGenerateRequest, context: grpc.ServicerContext
    ) -> pb.StartGenerateResponse:
        """See the proto."""
        require_uri("model_uri", request.model_uri)
        require_uri("questions_uri", request.questions_uri)
        _check_sampling(request.sampling)
        require_between("description_tokens", request.description_tokens, 0, _MOST_TOKENS)
        way_of(request)
        return pb.StartGenerateResponse(operation_id=self._operations.start(request))

    def ScoreReplies(self, request: pb.ScoreRepliesRequest, context: grpc.ServicerContext) -> pb.ScoreRepliesResponse:
        """See the proto."""
        require_between("replies", len(request.replies), 0, _MOST_REPLIES)
        if request.ByteSize() > _MOST_REPLY_BYTES:
            raise InvalidArgument(
                "The replies are too long together.",
                field="replies",
                value=f"{request.ByteSize()} bytes",
                remedy=f"At most {_MOST_REPLY_BYTES} bytes a call.",
            )
        scored = []
        for reply in request.replies:
            require_caller(context)
            scored.append(_scored(reply))
        return pb.ScoreRepliesResponse(replies=scored)


def _scored(reply: pb.StoredReply) -> pb.ScoredReply:
    options = options_of(reply.options)
    letters = answer_letters(reply.answer.strip(), options)
    refusal = refusal_of(options, letters)
    if refusal:
        return pb.ScoredReply(refusal=refusal[0])
    return pb.ScoredReply(
        answer=letters.pop(),
        official_choice=official_choice(reply.prediction, options) or "",
        strict_choice=strict_choice(reply.prediction, options) or "",
    )


def _check_sampling(sampling: pb.Sampling) -> None:
    require_between("sampling.temperature", sampling.temperature, 0, 100)
    require_between("sampling.max_new_tokens", sampling.max_new_tokens, 1, _MOST_TOKENS)
    if not 0 < sampling.top_p <= 1:
        raise InvalidArgument(
            "The nucleus is out of range.",
            field="sampling.top_p",
            value=sampling.top_p,
            remedy="Choose a number above 0 and up to 1; 1 keeps the whole distribution.",
        )
