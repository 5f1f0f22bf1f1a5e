"""Requests to a judge at an endpoint: several at a time, each once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed

from shared.chat.messages import Chat, ChatReply, ChatRequest
from shared.errors import FailedPrecondition, MedqError, PermissionDenied, Unauthenticated

#: What one request is refused with where every other would be too.
_FOR_GOOD = (PermissionDenied, Unauthenticated, FailedPrecondition)


class ChatJudge:
    """A `JudgeCalls` on a chat model.

    Args:
        chat: The model.
        max_in_flight: Requests at a time.
    """

    def __init__(self, chat: Chat, max_in_flight: int) -> None:
        self.model = chat.name
        self._chat = chat
        self._max_in_flight = max_in_flight

    def ask(
        self, requests: Mapping[str, ChatRequest], progress: Callable[[int], None]
    ) -> Mapping[str, ChatReply | MedqError]:
        """See the port."""
        found: dict[str, ChatReply | MedqError] = {}
        with ThreadPoolExecutor(self._max_in_flight) as pool:
            futures = {pool.submit(self._chat.complete, request): key for key, request in requests.items()}
            for future in as_completed(futures):
                error = future.exception()
                if isinstance(error, MedqError) and not isinstance(error, _FOR_GOOD):
                    found[futures[future]] = error
                else:
                    found[futures[future]] = future.result()
                progress(len(found))
        return found
