"""Sends a bearer token with each call; that of a file is read again as it is rotated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

from shared.errors import FailedPrecondition
from shared.reloaded import Reloaded, read_file

#: Key of the metadata that carries the token.
AUTHORIZATION = "authorization"
SCHEME = "Bearer "

if TYPE_CHECKING:  # the classes are generic in the type stubs alone
    _Interceptors = grpc.UnaryUnaryClientInterceptor[Any, Any]
else:

    class _Interceptors(
        grpc.UnaryUnaryClientInterceptor,
        grpc.UnaryStreamClientInterceptor,
        grpc.StreamUnaryClientInterceptor,
        grpc.StreamStreamClientInterceptor,
    ):
        """All four call shapes."""


class _Details(NamedTuple):
    """gRPC's own class is abstract: an interceptor brings its own."""

    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]]
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class ClientInterceptors(_Interceptors):
    """An interceptor that does the same with calls of all four shapes."""

    def intercept(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Make a call; see `grpc.UnaryUnaryClientInterceptor`."""
        raise NotImplementedError

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """See `intercept`."""
        return self.intercept(continuation, details, request)

    intercept_unary_stream = intercept_unary_unary
    intercept_stream_unary = intercept_unary_unary
    intercept_stream_stream = intercept_unary_unary

    @staticmethod
    def changed(details: Any, **changes: Any) -> Any:
        """What a call is made with, changed."""
        return _Details(**{name: getattr(details, name) for name in _Details._fields} | changes)


class BearerToken(ClientInterceptors):
    """Adds `authorization: Bearer TOKEN` to every call.

    Args:
        token: Gives it at each call.
    """

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def intercept(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """See `ClientInterceptors`."""
        metadata = [*(details.metadata or ()), (AUTHORIZATION, SCHEME + self._token())]
        return continuation(self.changed(details, metadata=metadata), request)


def token_of(file: Path) -> Callable[[], str]:
    """The token that a file holds alone, as it is at each call.

    Raises:
        FailedPrecondition: The file cannot be read or is empty.
    """
    return Reloaded([file], lambda: _read(file), "bearer token").get


def _read(path: Path) -> str:
    try:
        token = read_file(path, "token_file").decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable() or " " in token:
        raise FailedPrecondition(
            "The file holds no token.",
            field="token_file",
            value=path.name,
            remedy="It holds one token and nothing else.",
        )
    return token
