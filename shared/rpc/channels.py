"""Channels to services by name, with reconnecting, retries and a deadline for every call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType

import grpc

from shared.errors import InvalidArgument
from shared.tracing import traced_channel

#: Deadline of a call that sets none, in seconds. Long work is an operation, so no call needs more.
DEFAULT_DEADLINE_SECONDS = 30

_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "waitForReady": True,
                "timeout": f"{DEFAULT_DEADLINE_SECONDS}s",
                # Every mutating call carries an id, so that it may be repeated.
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
_OPTIONS = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.enable_retries", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


class Channels:
    """Channels by service name, opened at first use and shared by all threads.

    Args:
        targets: Service name to gRPC target (`unix:/path` or `host:port`).
    """

    def __init__(self, targets: Mapping[str, str]) -> None:
        self.targets = dict(targets)
        self._open: dict[str, grpc.Channel] = {}

    def __getitem__(self, service: str) -> grpc.Channel:
        """The channel of a service.

        Raises:
            InvalidArgument: No target is configured for it.
        """
        if service not in self._open:
            if service not in self.targets:
                raise InvalidArgument(
                    "No address is known for a service that is needed here.",
                    field="targets",
                    value=service,
                    remedy=f'Add "{service}": "host:port" to the targets.',
                )
            self._open[service] = traced_channel(
                grpc.insecure_channel(self.targets[service], options=_OPTIONS)
            )
        return self._open[service]

    def close(self) -> None:
        """Close every channel."""
        for channel in self._open.values():
            channel.close()
        self._open.clear()

    def __enter__(self) -> Channels:
        """Use as a context that closes at its end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()
