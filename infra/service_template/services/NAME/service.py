"""The servicer of `medq.NAME.v1`: check, call, encode."""

from __future__ import annotations

import grpc

from medq.NAME.v1 import NAME_pb2 as pb
from medq.NAME.v1 import NAME_pb2_grpc as pb_grpc
from services.NAME.domain.counting import n_words
from shared.errors import InvalidArgument
from shared.operations import Operations


class CLASS(pb_grpc.CLASSServiceServicer):
    """See the proto.

    Args:
        operations: The service's long work.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def CountWords(self, request: pb.CountWordsRequest, context: grpc.ServicerContext) -> pb.CountWordsResponse:
        """See the proto."""
        if not request.text:
            raise InvalidArgument("A text is needed.", field="text", remedy="Send at least one word.")
        return pb.CountWordsResponse(n_words=n_words(request.text))

    def StartCount(self, request: pb.StartCountRequest, context: grpc.ServicerContext) -> pb.StartCountResponse:
        """See the proto."""
        return pb.StartCountResponse(operation_id=self._operations.start(request))
