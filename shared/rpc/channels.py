"""Channels to services by name, with reconnecting, retries and a deadline for every call."""

from __future__ import annotations

import ipaddress
import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import grpc

from shared.errors import FailedPrecondition, InvalidArgument
from shared.private_folder import require_private
from shared.rpc.bearer import BearerToken, token_of
from shared.rpc.certificates import channel_credentials
from shared.rpc.reopening import ReopeningChannel
from shared.settings import ServiceSettings, TlsSection
from shared.tracing import traced_channel

#: Deadline of a call that sets none, in seconds. Long work is an operation, so no call needs more.
DEFAULT_DEADLINE_SECONDS = 30
#: Deadline of a download, whose time is that of its bytes.
DOWNLOAD_DEADLINE_SECONDS = 600
#: Largest answer that a caller takes in, in bytes: the report of a run with nine arms has 4 MB, which is all that gRPC takes.
MOST_ANSWER_BYTES = 64 << 20

_SERVICE_CONFIG = json.dumps(
    {
        # Where a target names several replicas, each gets its share, and one that is gone gets none.
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{"service": "medq.operations.v1.OperationsService", "method": "DownloadDataset"}],
                "waitForReady": True,
                "timeout": f"{DOWNLOAD_DEADLINE_SECONDS}s",
            },
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
            },
        ],
    }
)
_OPTIONS = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.enable_retries", 1),
    # What goes to a service goes to it alone, whatever http_proxy says: no token passes through a proxy in plaintext.
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.max_receive_message_length", MOST_ANSWER_BYTES),
)


@dataclass(frozen=True)
class Credentials:
    """How a caller shows who it is and knows whom it calls; nothing of it holds on unix sockets but the token.

    Attributes:
        tls: TLS is spoken where it names an authority or a certificate of the caller's own.
        token_file: The bearer token sent with each call.
        is_plaintext_token_allowed: Send it to other machines without TLS too.
    """

    tls: TlsSection = field(default_factory=TlsSection)
    token_file: Path | None = None
    is_plaintext_token_allowed: bool = False


def credentials_of(settings: ServiceSettings) -> Credentials:
    """The credentials with which a service calls the others."""
    auth = settings.auth
    return Credentials(settings.tls, auth.token_file, auth.is_plaintext_token_allowed)


class Channels:
    """Channels by service name, opened at first use and shared by all threads.

    Args:
        targets: Service name to gRPC target (`unix:/path`, `host:port`, or `ipv4:a:port,b:port` for replicas).
        credentials: How they are called.

    Raises:
        InvalidArgument: A part of the credentials is missing.
        FailedPrecondition: A file of the credentials cannot be read or does not hold what it should.
    """

    def __init__(self, targets: Mapping[str, str], credentials: Credentials | None = None) -> None:
        self.targets = dict(targets)
        self._credentials = credentials or Credentials()
        self._tls = channel_credentials(self._credentials.tls)
        token_file = self._credentials.token_file
        self._token = BearerToken(token_of(token_file)) if token_file else None
        self._open: dict[str, grpc.Channel] = {}
        self._lock = threading.Lock()

    def __getitem__(self, service: str) -> grpc.Channel:
        """The channel of a service.

        Raises:
            InvalidArgument: No target is configured for it.
            FailedPrecondition: A token would go over the network in plaintext; or the folder of a socket is not this user's
                alone, so that anybody might listen there.
        """
        if service not in self.targets:
            raise InvalidArgument(
                "No address is known for a service that is needed here.",
                field="targets",
                value=service,
                remedy=f'Add "{service}": "host:port" to the targets.',
            )
        with self._lock:
            if service not in self._open:
                self._open[service] = self._channel(self.targets[service])
            return self._open[service]

    def with_token(self, service: str, token: Callable[[], str]) -> grpc.Channel:
        """The channel of a service, for calls in the name of whoever has this token: of a person who is logged in.

        Raises:
            InvalidArgument: No target is configured for it.
            FailedPrecondition: The token would go over the network in plaintext.
        """
        channel = self[service]
        if self._tls is None:
            self._require_no_plaintext(self.targets[service])
        return grpc.intercept_channel(channel, BearerToken(token))

    def _require_no_plaintext(self, target: str) -> None:
        if not (is_local(target) or self._credentials.is_plaintext_token_allowed):
            raise FailedPrecondition(
                "A token is not sent over the network without TLS.",
                field="target",
                value=target,
                remedy="Name the authority of the server's certificate (--tls-ca, tls.ca_file); or, where something else "
                "encrypts, allow it: MEDQ_SERVER_IS_PLAINTEXT_TOKEN_ALLOWED=true, auth.is_plaintext_token_allowed.",
            )

    def _channel(self, target: str) -> grpc.Channel:
        channel: grpc.Channel
        folder = Path(target.removeprefix("unix:")).parent
        if target.startswith("unix:") and os.path.lexists(folder):
            require_private(folder, "target")
        if self._tls is not None and not target.startswith("unix:"):
            channel = ReopeningChannel(
                self._tls, lambda credentials: grpc.secure_channel(target, credentials, options=_OPTIONS)
            )
        else:
            if self._token:
                self._require_no_plaintext(target)
            channel = grpc.insecure_channel(target, options=_OPTIONS)
        return traced_channel(grpc.intercept_channel(channel, self._token) if self._token else channel)

    def close(self) -> None:
        """Close every channel."""
        with self._lock:
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


def is_local(target: str) -> bool:
    """True if what is sent to a target does not leave this machine: a unix socket, `localhost`, a loopback address."""
    if target.startswith("unix:"):
        return True
    return all(_is_loopback(address) for address in target.removeprefix("ipv4:").split(","))


def _is_loopback(address: str) -> bool:
    host = address.rsplit(":", 1)[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
