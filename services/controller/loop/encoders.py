"""Whether the encoder that a run names is there, asked of the embedding service before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from medq.embedding.v1.embedding_pb2 import GetEncoderRequest
from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from services.controller.configuration.paths import Problem
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from shared.limits import STATISTICS
from shared.rpc.channels import Channels
from shared.status import from_rpc_error

#: Weights are loaded meanwhile, once; the caller of a run waits no longer than `shared.rpc.channels.DEFAULT_DEADLINE_SECONDS`.
_SECONDS = 20.0


def encoder_problems(channels: Channels, name: str) -> Iterator[Problem]:
    """What keeps an encoder from being used.

    Raises:
        Unavailable, DeadlineExceeded: The embedding service does not answer, or not in time.
        MedqError: It answers something else, as that the controller may not ask.
    """
    if name == STATISTICS:
        return
    try:
        EmbeddingServiceStub(channels["embedding"]).GetEncoder(
            GetEncoderRequest(encoder=name), timeout=_SECONDS, wait_for_ready=False
        )
    except grpc.RpcError as error:
        typed = from_rpc_error(error)
        if isinstance(typed, NotFound | InvalidArgument | FailedPrecondition):
            yield Problem("encoder", typed.message, typed.remedy)
            return
        raise type(typed)(
            f"The embedding service could not be asked whether it has this encoder: {typed.message}",
            field="encoder",
            value=name,
            remedy="Look whether it runs, and whether it is still loading the encoder's weights; then try again.",
        ) from None


def require_encoder(channels: Channels, name: str) -> None:
    """InvalidArgument where an encoder cannot be used; else raises as `encoder_problems`."""
    for problem in encoder_problems(channels, name):
        raise InvalidArgument(problem.message, field=problem.field, value=name, remedy=problem.remedy)
