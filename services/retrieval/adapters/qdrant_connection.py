"""A client of a Qdrant server over gRPC, with a deadline and retries for every call, and its errors in our terms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import grpc
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse

from services.retrieval.settings import QdrantSection
from shared.errors import FailedPrecondition, InvalidArgument, PermissionDenied, Unavailable

_GRPC_PORT = 6334
#: Every call may be repeated: a point's id is made of its image and split.
_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "waitForReady": True,  # a server that is being restarted is waited for until the deadline
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.2s",
                    "maxBackoff": "5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)


def connect(settings: QdrantSection) -> QdrantClient:
    """A client that speaks gRPC alone; it connects with its first call.

    Raises:
        InvalidArgument: the URL is none of a server.
    """
    parts = urlsplit(settings.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise InvalidArgument(
            "Not a Qdrant server.", field="index.url", value=settings.url, remedy="http(s)://host:port of its gRPC port"
        )
    options: dict[str, str | int | bytes] = {
        "grpc.service_config": _SERVICE_CONFIG,
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 2000,
    }
    if settings.ca_file:
        options["root_certificates"] = settings.ca_file.read_bytes()
    key = settings.api_key.get_secret_value()
    return QdrantClient(
        host=parts.hostname,
        grpc_port=parts.port or _GRPC_PORT,
        https=parts.scheme == "https",
        prefer_grpc=True,
        # not as api_key: inside a cluster without TLS that warns on standard error with each client
        headers={"api-key": key} if key else None,
        timeout=settings.timeout_seconds,
        grpc_options=options,
        check_compatibility=False,  # asks by REST
    )


@contextmanager
def typed_errors(settings: QdrantSection) -> Iterator[None]:
    """Raise what the client raises as an error of the product."""
    try:
        yield
    except ResourceExhaustedResponse as error:
        raise _busy(settings) from error
    except grpc.RpcError as error:
        raise _typed(error.code(), settings) from error


def _typed(code: grpc.StatusCode, settings: QdrantSection) -> Exception:
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return PermissionDenied(
            "The vector index refuses the API key.",
            field="index.api_key",
            remedy="Check index.api_key; it needs the right to write and to make collections",
        )
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Unavailable(
            "The vector index does not answer in time.",
            field="index.url",
            value=settings.url,
            remedy="Check that it runs and that this is its gRPC port, then try again",
        )
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _busy(settings)
    if code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION):
        return FailedPrecondition(
            f"The vector index refused the request ({code.name}).",
            field="index.collection",
            value=settings.collection,
            remedy="The collection was deleted or made by something else: index the image sets again, in a new one",
        )
    return Unavailable(
        f"The vector index failed ({code.name}).",
        field="index.url",
        value=settings.url,
        remedy="See the log of the Qdrant server: a full disk, or too few replicas alive",
    )


def _busy(settings: QdrantSection) -> Unavailable:
    return Unavailable(
        "The vector index is out of resources.",
        field="index.url",
        value=settings.url,
        remedy="Give the Qdrant server memory or disk, then try again",
    )
