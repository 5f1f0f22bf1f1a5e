"""Calls to the services in the name of whoever is logged in: the generated stubs, with the session's token and one deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import grpc

from shared.errors import DeadlineExceeded, Unavailable
from shared.rpc.bearer import ClientInterceptors
from shared.rpc.channels import DEFAULT_DEADLINE_SECONDS, Channels
from shared.status import sent_error
from web.sessions import Session

S = TypeVar("S")

#: What a browser may wait longer for: as long as any caller.
LONG_CALLS: Final = frozenset(
    f"/medq.controller.v1.ControllerService/{name}" for name in ("EstimateRun", "GetReport", "StartRun")
)
_SILENT: Final = {
    grpc.StatusCode.DEADLINE_EXCEEDED: (DeadlineExceeded, "does not answer"),
    grpc.StatusCode.UNAVAILABLE: (Unavailable, "cannot be reached"),
}
_REMEDY: Final = (
    "Load the page again in a moment. If this stays, tell an operator: the service is down or has too much to do, "
    "or the targets of these pages name a wrong address."
)


class Services:
    """The six services, as one caller sees them.

    Args:
        channels: To all of them, without a token.
        session: Who calls.
        call_seconds: Longest that a call may take that is none of `LONG_CALLS` and sets no deadline itself.
    """

    def __init__(self, channels: Channels, session: Session, call_seconds: float) -> None:
        self._channels = channels
        self._call_seconds = call_seconds
        self.session = session

    def stub(self, service: str, make: Callable[[grpc.Channel], S]) -> S:
        """A stub of a service: `services.stub("controller", ControllerServiceStub)`.

        Its calls raise DeadlineExceeded and Unavailable with the name of the service where nobody answers.

        Raises:
            InvalidArgument: No target is configured for it.
            FailedPrecondition: A token would go over the network in plaintext.
        """
        token = self.session.token
        channel = self._channels.with_token(service, lambda: token) if token else self._channels[service]
        return make(grpc.intercept_channel(channel, _Deadline(service, self._call_seconds)))


class _Deadline(ClientInterceptors):
    """Gives calls their deadline, and says which service does not answer."""

    def __init__(self, service: str, seconds: float) -> None:
        self._service = service
        self._seconds = seconds

    def intercept(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """See `ClientInterceptors`."""
        if details.timeout is None:
            seconds = DEFAULT_DEADLINE_SECONDS if details.method in LONG_CALLS else self._seconds
            details = self.changed(details, timeout=seconds)
        call = continuation(details, request)
        # A future or a stream has not ended yet: who asked for that takes what comes.
        found = _SILENT.get(call.code()) if isinstance(call, grpc.RpcError) and call.done() else None
        if found is not None and sent_error(call) is None:
            error, what = found
            raise error(f"The {self._service} service {what}.", field="service", value=self._service, remedy=_REMEDY)
        return call
