"""Calls to the services in the name of whoever is logged in: the generated stubs, with the session's token.

Every call of the pages passes here: so here it gets its deadline and its audit line, and a silent service its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import grpc

from shared.errors import DeadlineExceeded, Unavailable
from shared.logs import get_audit_logger
from shared.rpc.authorization import named
from shared.rpc.bearer import ClientInterceptors
from shared.rpc.channels import DEFAULT_DEADLINE_SECONDS, DOWNLOAD_DEADLINE_SECONDS, Channels
from shared.rpc.rights import is_audited
from shared.status import sent_error
from web.sessions import Session

S = TypeVar("S")

_AUDIT: Final = get_audit_logger("web")
#: Seconds for what takes longer than other calls may: as long as any caller has.
LONG_CALLS: Final = {
    "/medq.controller.v1.ControllerService/EstimateRun": DEFAULT_DEADLINE_SECONDS,
    "/medq.controller.v1.ControllerService/GetReport": DEFAULT_DEADLINE_SECONDS,
    "/medq.controller.v1.ControllerService/StartRun": DEFAULT_DEADLINE_SECONDS,
    "/medq.operations.v1.OperationsService/DownloadDataset": DOWNLOAD_DEADLINE_SECONDS,
}
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
        peer: Address of the browser or program, for the audit log.
    """

    def __init__(self, channels: Channels, session: Session, call_seconds: float, peer: str) -> None:
        self._channels = channels
        self._call_seconds = call_seconds
        self._peer = peer
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
        return make(grpc.intercept_channel(channel, _Calls(service, self._call_seconds, self._note)))

    def _note(self, method: str, request: Any) -> None:
        """Note what changes something or gives data away: who asked from where, which the service cannot know."""
        if is_audited(method):
            who = {"caller": self.session.name, "peer": self._peer}
            _AUDIT.info("call", method=method, **who, **named(request), decision="passed on")


class _Calls(ClientInterceptors):
    """Gives calls their deadline, has them noted, and says which service does not answer."""

    def __init__(self, service: str, seconds: float, note: Callable[[str, Any], None]) -> None:
        self._service = service
        self._seconds = seconds
        self._note = note

    def intercept(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """See `ClientInterceptors`."""
        self._note(details.method, request)
        if details.timeout is None:
            details = self.changed(details, timeout=LONG_CALLS.get(details.method, self._seconds))
        call = continuation(details, request)
        # A future or a stream has not ended yet: who asked for that takes what comes.
        found = _SILENT.get(call.code()) if call.done() else None
        if found is not None and sent_error(call) is None:
            error, what = found
            raise error(f"The {self._service} service {what}.", field="service", value=self._service, remedy=_REMEDY)
        return call
