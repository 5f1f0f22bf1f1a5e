"""What is asked of a chat model, and what comes back; knows no wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class ChatRequest:
    """One question to a chat model.

    Attributes:
        text: What the model is asked.
        images: PNG files that go before the text, in their order.
        system: Whom the model is to be; "" for nobody in particular.
        schema: JSON Schema that the reply must fit, with its name in `title`; None: free text.
        temperature: At least 0; 0 is greedy.
        top_p: In (0, 1].
        seed: Of the sampling, where the server keeps to seeds.
        max_tokens: Longest reply, at least 1; what the most that it may cost is reckoned from.
        top_logprobs: Of how many of the likeliest tokens the probabilities are wanted, 0..20; None: not even of the reply's own.
    """

    text: str
    images: tuple[bytes, ...] = ()
    system: str = ""
    schema: Mapping[str, Any] | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    max_tokens: int = 1024
    top_logprobs: int | None = None


@dataclass(frozen=True)
class ChatToken:
    """A token of a reply: its text as bytes, its log-probability (NaN where the server has none), and its likeliest rivals."""

    text: bytes
    logprob: float
    rivals: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True)
class Usage:
    """Tokens that a server counted, and what they cost in US dollars at the endpoint's prices.

    Attributes:
        tokens_in: Of the request, images included.
        tokens_out: Of the reply.
        usd: At least 0.
        is_stated: False where the server states no count that can be: then it is the most that the request may cost.
    """

    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    is_stated: bool = True


@dataclass(frozen=True)
class ChatReply:
    """What a model answered.

    Attributes:
        text: The reply, white space at its ends dropped.
        is_cut: It ended at `max_tokens`, not where the model ended it.
        usage: As the server states it; where it states none, the most that the request may cost.
        tokens: Where probabilities were asked for and given.
        model: The name of the model by the server's own word, such as a dated snapshot.
    """

    text: str
    is_cut: bool
    usage: Usage
    tokens: tuple[ChatToken, ...] = ()
    model: str = ""


class Chat(Protocol):
    """A chat model at one endpoint. Safe to use from several threads."""

    @property
    def name(self) -> str:
        """The endpoint's name in the site's settings."""

    def most(self, request: ChatRequest) -> Usage:
        """The most that a request may cost."""

    def complete(self, request: ChatRequest) -> ChatReply:
        """Ask once: no try is repeated in silence, so that each can be accounted for.

        Raises:
            InvalidArgument, NotFound, PermissionDenied, FailedPrecondition: refused, and nothing was spent.
            Unavailable: nothing was spent; the same request may go through later, `retry_after` seconds from now where it is set.
            BudgetExhausted: the account at the server is empty; nothing was spent.
            DeadlineExceeded, DataLoss: no answer in time, or one that cannot be read; nobody knows whether it was spent.
        """
