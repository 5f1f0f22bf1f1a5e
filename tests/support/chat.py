"""A chat model that answers by a rule and notes what it was asked, and a judge on one, without accounts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from shared.chat.messages import Chat, ChatReply, ChatRequest, Usage
from shared.errors import MedqError, PermissionDenied

#: What a chat model says to a request: a text, a whole reply, or the error that it ends in.
Rule = Callable[[ChatRequest], str | ChatReply | MedqError]


class ScriptedChat:
    """A `Chat` whose replies are a rule.

    Args:
        rule: Answers a request; it is asked by several threads.
        name: Of the endpoint.
        usd: What a request costs, and the most that it may cost.
    """

    def __init__(self, rule: Rule, name: str = "scripted", usd: float = 0.0) -> None:
        self.name = name
        self.asked: list[ChatRequest] = []
        self._rule = rule
        self._usd = usd
        self._lock = threading.Lock()

    def most(self, request: ChatRequest) -> Usage:
        """See the port; a token is a character."""
        return Usage(len(request.system) + len(request.text), request.max_tokens, self._usd)

    def complete(self, request: ChatRequest) -> ChatReply:
        """See the port."""
        with self._lock:
            self.asked.append(request)
        said = self._rule(request)
        if isinstance(said, MedqError):
            raise said
        if isinstance(said, ChatReply):
            return said
        usage = Usage(len(request.system) + len(request.text), len(said), self._usd)
        return ChatReply(said, is_cut=False, usage=usage, model=self.name)


class ChatJudge:
    """A `JudgeCalls` of the evaluation service on a chat model.

    Args:
        chat: The model.
    """

    def __init__(self, chat: Chat) -> None:
        self.model = chat.name
        self._chat = chat

    def ask(
        self, requests: Mapping[str, ChatRequest], progress: Callable[[int], None]
    ) -> Mapping[str, ChatReply | MedqError]:
        """See the port."""
        found: dict[str, ChatReply | MedqError] = {}
        for key, request in requests.items():
            try:
                found[key] = self._chat.complete(request)
            except PermissionDenied:
                raise
            except MedqError as error:
                found[key] = error
            progress(len(found))
        return found
