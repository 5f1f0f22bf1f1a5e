"""What happens around every call: its errors become typed statuses, its time is measured.

All four call shapes, and in a stream the errors between items too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc
from grpc_status import rpc_status

from shared.errors import MedqError, Unavailable
from shared.logs import get_logger
from shared.status import STATUS_CODES, to_status, typed
from shared.telemetry import RPC_SECONDS

if TYPE_CHECKING:  # the class is generic in the type stubs alone
    Interceptor = grpc.ServerInterceptor[Any, Any]
else:
    Interceptor = grpc.ServerInterceptor

_FACTORIES = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def rewrapped(handler: Any, unary: Wrap, streaming: Wrap) -> Any:
    """A method's handler with another function around its own.

    Args:
        handler: What gRPC found for the method.
        unary: Wraps a function that gives one response.
        streaming: Wraps a function that gives an iterator of responses.
    """
    shape = (bool(handler.request_streaming), bool(handler.response_streaming))
    inner = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    return _FACTORIES[shape](
        (streaming if shape[1] else unary)(inner),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


class ErrorInterceptor(Interceptor):
    """Ends a call that raised with the status of its typed error, and observes the duration of each call."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._log = get_logger(service)

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Wrap the handler of a method; an unknown method stays as it is."""
        handler: Any = continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        return rewrapped(
            handler, lambda inner: self._unary(inner, method), lambda inner: self._streaming(inner, method)
        )

    def _unary(self, inner: Callable[..., Any], method: str) -> Callable[..., Any]:
        def call(request: Any, context: grpc.ServicerContext) -> Any:
            began = time.perf_counter()
            try:
                return inner(request, context)
            except Exception as error:
                self._end(error, context, method)
            finally:
                self._observe(began, context, method)

        return call

    def _streaming(self, inner: Callable[..., Any], method: str) -> Callable[..., Any]:
        def call(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            began = time.perf_counter()
            try:
                yield from inner(request, context)
            except Exception as error:
                self._end(error, context, method)
            finally:
                self._observe(began, context, method)

        return call

    def _end(self, error: Exception, context: Any, method: str) -> None:
        if context.code() is not None:
            raise error  # `abort` itself raises a bare Exception
        if not context.is_active():  # it has gone: there is nobody to tell, and nothing to log
            context.abort(grpc.StatusCode.CANCELLED, "The call was ended.")
        known = typed(error)
        if not isinstance(error, MedqError):
            trace = None if isinstance(known, Unavailable) else error  # of an outage one line says enough
            self._log.error("call_failed", method=method, reason=known.reason, exc_info=trace)
        context.abort_with_status(rpc_status.to_status(to_status(known)))

    def _observe(self, began: float, context: Any, method: str) -> None:
        code = context.code() or grpc.StatusCode.OK
        name = code.name if isinstance(code, grpc.StatusCode) else _code_name(code)
        RPC_SECONDS.labels(self._service, method.rsplit("/", 1)[-1], name).observe(time.perf_counter() - began)


def _code_name(number: int) -> str:
    """The name of a status code that was set by its number."""
    names = {code.value[0]: code.name for code in (*STATUS_CODES.values(), grpc.StatusCode.OK)}
    return names.get(number, "UNKNOWN")
