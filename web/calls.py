"""Calls to the services in the name of whoever is logged in: the generated stubs, with the session's token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import grpc

from shared.rpc.channels import Channels
from web.sessions import Session

S = TypeVar("S")


class Services:
    """The six services, as one caller sees them.

    Args:
        channels: To all of them, without a token.
        session: Who calls.
    """

    def __init__(self, channels: Channels, session: Session) -> None:
        self._channels = channels
        self.session = session

    def stub(self, service: str, make: Callable[[grpc.Channel], S]) -> S:
        """A stub of a service: `services.stub("controller", ControllerServiceStub)`.

        Raises:
            InvalidArgument: No target is configured for it.
            FailedPrecondition: A token would go over the network in plaintext.
        """
        token = self.session.token
        if not token:
            return make(self._channels[service])
        return make(self._channels.with_token(service, lambda: token))
