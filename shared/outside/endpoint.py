"""An endpoint of the site as somebody who may be asked: nothing reaches it but through the guard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from shared.chat.egress import EgressGuard, Purpose, StoredImage, TextDoubt
from shared.chat.endpoints import Endpoint, MayReceive, require_endpoint
from shared.chat.messages import Chat, ChatReply, ChatRequest, Usage
from shared.errors import FailedPrecondition, NotFound
from shared.outside.accounts import CallBook
from shared.outside.call import Paid, Prepared
from shared.spending import Spending

T = TypeVar("T", bound=Paid)


class GuardedEndpoint:
    """An endpoint that is asked for one purpose. Safe to use from several threads.

    Args:
        chat: The endpoint.
        endpoint: What the site says of it.
        guard: Of what may leave.
        purpose: What it is asked for.
    """

    is_simulated = False

    def __init__(self, chat: Chat, endpoint: Endpoint, guard: EgressGuard, purpose: Purpose) -> None:
        self.name = chat.name
        self.model = endpoint.model
        self._chat = chat
        self._endpoint = endpoint
        self._guard = guard
        self._purpose = purpose

    def most(self, request: ChatRequest) -> Spending:
        """The most that a request may cost."""
        return spending_of(self._chat.most(request))

    def prepare(
        self, request: ChatRequest, images: Sequence[StoredImage], read: Callable[[ChatReply, Spending], T]
    ) -> Prepared[T]:
        """A call that may leave.

        Args:
            request: Without images.
            images: What it shows.
            read: Makes the outcome of a reply and what it cost. It raises nothing: a reply that nobody can read was paid too.

        Raises:
            PermissionDenied: It may not leave.
        """
        cleared, leaving = self._guard.clear(request, images)

        def make() -> T:
            try:
                reply = self._chat.complete(cleared)
            except NotFound as error:  # not this question's fault: no other would fare better
                raise FailedPrecondition(error.message, field=error.field, remedy=error.remedy) from None
            return read(reply, spending_of(reply.usage))

        return Prepared(self.most(cleared), make, leaving)

    def book(self, work_id: str, run_id: str, max_in_flight: int) -> CallBook:
        """The book of calls to it, of which no more are in flight than it takes."""
        return CallBook(
            work_id,
            run_id,
            self._purpose,
            min(max_in_flight, self._endpoint.max_in_flight),
            self.is_simulated,
            self._endpoint.tries,
            self._endpoint.patience_seconds,
        )


def _sure(pixels: object) -> float:
    """Nobody looked: text may stand anywhere."""
    return 1.0


class OpenedChat(Chat, Protocol):
    """A chat model whose connections are open."""

    def close(self) -> None:
        """Close them."""


def _open_chat(name: str, endpoint: Endpoint) -> OpenedChat:
    # The client's packages take a second to import, and most sites have no endpoint.
    from shared.chat.client import open_chat

    return open_chat(name, endpoint)


class SiteEndpoints:
    """The endpoints of the site, each opened once it is asked for.

    Args:
        endpoints: By name.
        text_doubt: Looks for text in pixels; without it no image leaves.
        quarantine_from: The doubt from which on an image does not leave.
        open_one: Makes the client of an endpoint.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        text_doubt: TextDoubt = _sure,
        quarantine_from: float = 0.5,
        open_one: Callable[[str, Endpoint], OpenedChat] = _open_chat,
    ) -> None:
        self._endpoints = endpoints
        self._text_doubt = text_doubt
        self._quarantine_from = quarantine_from
        self._open_one = open_one
        self._chats: dict[str, OpenedChat] = {}

    def open(self, name: str, purpose: Purpose, may_receive: MayReceive, field: str) -> GuardedEndpoint:
        """The endpoint that an input names; raises as `require_endpoint`, and as `open_chat`."""
        endpoint = require_endpoint(name, self._endpoints, may_receive, field)
        # Two threads may both open it: one of the two is kept, the other ends unused.
        chat = self._chats.get(name) or self._chats.setdefault(name, self._open_one(name, endpoint))
        guard = EgressGuard(name, endpoint, purpose, self._text_doubt, self._quarantine_from)
        return GuardedEndpoint(chat, endpoint, guard, purpose)

    def close(self) -> None:
        """Close the connections."""
        for chat in self._chats.values():
            chat.close()


def spending_of(usage: Usage) -> Spending:
    """What was used, as the ledger has it."""
    return Spending(usage.usd, usage.tokens_in, usage.tokens_out, is_stated=usage.is_stated)
