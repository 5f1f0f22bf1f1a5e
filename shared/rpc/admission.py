"""How a call begins: it is decided whether it may happen, then its message is read, then its handler is called.

gRPC would wait for the message in a thread of the pool before anything is known of the caller, and read it unbounded. So each
handler that takes one message is served as one that takes a stream of them, which is the same on the wire: it is called at
once, and reads the message itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import grpc

from shared.errors import BudgetExhausted, InvalidArgument
from shared.rpc.authorization import Authorization
from shared.rpc.interceptors import Interceptor
from shared.rpc.messages import read_message
from shared.rpc.patience import Patience
from shared.rpc.rights import Caller

#: How long a call with one answer may take, in seconds: longer work is an operation.
CALL_SECONDS = 120.0
#: Calls of people whose work grows with what they name: together they hold a quarter of the threads.
HEAVY = frozenset(
    {
        "/medq.controller.v1.ControllerService/EstimateRun",
        "/medq.controller.v1.ControllerService/GetLineage",
        "/medq.controller.v1.ControllerService/GetReport",
        "/medq.controller.v1.ControllerService/ListDevItems",
        "/medq.controller.v1.ControllerService/ListDrawn",
        "/medq.controller.v1.ControllerService/ValidateRun",
        "/medq.evaluation.v1.EvaluationService/ScoreReplies",
    }
)
_Messages = Iterator[bytes]


class AdmissionInterceptor(Interceptor):
    """Lets calls begin, and ends those that hold a thread for too long.

    Args:
        authorization: Decides who may call what; None: everybody may call everything.
        patience: Ends calls.
        most: Streams of answers, and calls of `HEAVY`, that may be open at the same time; the next one gets RESOURCE_EXHAUSTED.
        stream_seconds: How long a stream may take in all.
        idle_seconds: How long a stream may move nothing, because its caller reads nothing or asks nothing.
    """

    def __init__(
        self,
        authorization: Authorization | None,
        patience: Patience,
        *,
        most: int,
        stream_seconds: float,
        idle_seconds: float,
    ) -> None:
        self._authorization = authorization
        self._patience = patience
        self._streams, self._heavy = threading.BoundedSemaphore(most), threading.BoundedSemaphore(most)
        self._stream_seconds = stream_seconds
        self._idle_seconds = idle_seconds

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Wrap the handler of a method; an unknown method stays as it is."""
        handler: Any = continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streaming(handler, method), response_serializer=handler.response_serializer
            )
        return grpc.stream_unary_rpc_method_handler(
            self._unary(handler, method), response_serializer=handler.response_serializer
        )

    def _unary(self, handler: Any, method: str) -> Callable[..., Any]:
        inner = handler.stream_unary or handler.unary_unary

        def call(messages: _Messages, context: grpc.ServicerContext) -> Any:
            caller = self._admit(method, context)
            slot = _slot(self._heavy, "calls of this kind") if method in HEAVY else nullcontext()
            with slot, self._patience.within(context, CALL_SECONDS):
                return inner(self._request(handler, method, messages, caller, context), context)

        return call

    def _streaming(self, handler: Any, method: str) -> Callable[..., Iterator[Any]]:
        inner = handler.stream_stream or handler.unary_stream

        def call(messages: _Messages, context: grpc.ServicerContext) -> Iterator[Any]:
            caller = self._admit(method, context)
            with (
                _slot(self._streams, "streams"),
                self._patience.within(context, self._stream_seconds),
                self._patience.within(context, self._idle_seconds) as moved,
            ):
                for answer in inner(self._request(handler, method, messages, caller, context), context):
                    moved()
                    yield answer
                    moved()

        return call

    def _admit(self, method: str, context: grpc.ServicerContext) -> Caller | None:
        return self._authorization.admit(method, context) if self._authorization else None

    def _request(
        self, handler: Any, method: str, messages: _Messages, caller: Caller | None, context: grpc.ServicerContext
    ) -> Any:
        """The message of a call; of a method that takes a stream of them, that."""
        deserialize, request = handler.request_deserializer, None
        if not handler.request_streaming:
            with self._patience.for_message(context):
                raw = next(messages, None)
            if raw is None:
                raise InvalidArgument("The call carries no message.", remedy="Send one.")
            request = read_message(raw, deserialize)
        if self._authorization and caller:
            self._authorization.note_allowed(caller, method, request, context)
        return (read_message(raw, deserialize) for raw in messages) if handler.request_streaming else request


@contextmanager
def _slot(slots: threading.BoundedSemaphore, what: str) -> Iterator[None]:
    if not slots.acquire(blocking=False):
        raise BudgetExhausted(f"Too many {what} are open here.", remedy="Ask again after the retry delay.")
    try:
        yield
    finally:
        slots.release()
