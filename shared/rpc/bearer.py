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


class BearerToken(_Interceptors):
    """Adds `authorization: Bearer TOKEN` to every call.

    Args:
        token: Gives it at each call.
    """

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """See `grpc.UnaryUnaryClientInterceptor`; the other three shapes do the same."""
        metadata = [*(details.metadata or ()), (AUTHORIZATION, SCHEME + self._token())]
        with_token = _Details(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready, details.compression
        )
        return continuation(with_token, request)

    intercept_unary_stream = intercept_unary_unary
    intercept_stream_unary = intercept_unary_unary
    intercept_stream_stream = intercept_unary_unary


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
