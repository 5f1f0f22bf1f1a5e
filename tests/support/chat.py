"""A chat model that answers by a rule, notes what it was asked, and may be as unreliable as a real one."""

from __future__ import annotations

import threading
from collections.abc import Callable

from shared.chat.messages import ChatReply, ChatRequest, Usage
from shared.errors import MedqError

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
