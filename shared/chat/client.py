"""The one client of chat models behind OpenAI-compatible servers: for oracle, judges, and models that a site serves."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from prometheus_client import Counter

from shared.chat.connection import Connection
from shared.chat.endpoints import Endpoint, read_key
from shared.chat.messages import ChatReply, ChatRequest, ChatToken, Usage
from shared.errors import DataLoss
from shared.logs import get_logger
from shared.reloaded import Reloaded

#: No model takes or gives as many tokens at once: a server that counts more has miscounted.
MOST_TOKENS = 2**22
#: What a chat format adds to a text, at most, in tokens.
_FORMAT_TOKENS = 64
_UNSTATED = Counter(
    "medq_chat_usage_unstated_total",
    "Answers whose usage the server did not state, or not so that it can be; they count as the most that they may cost.",
    ["endpoint"],
)


class _Rival(msgspec.Struct):
    token: str
    logprob: float | None = None
    bytes: list[Annotated[int, msgspec.Meta(ge=0, le=255)]] | None = None


class _Token(_Rival):
    top_logprobs: list[_Rival] | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Completion(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _Usage(msgspec.Struct):
    prompt_tokens: Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]
    completion_tokens: Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


class OpenAIChat:
    """A `Chat`: one model at one endpoint.

    Args:
        name: The endpoint's name in the site's settings.
        endpoint: Where it is, and what it costs.
        connection: To its server.
    """

    def __init__(self, name: str, endpoint: Endpoint, connection: Connection) -> None:
        self._name = name
        self._endpoint = endpoint
        self._connection = connection

    @property
    def name(self) -> str:
        """See the port."""
        return self._name

    def most(self, request: ChatRequest) -> Usage:
        """No token is shorter than a byte; of an image the endpoint says how many tokens it is at most. See the port."""
        schema = len(msgspec.json.encode(request.schema)) if request.schema is not None else 0
        text = len(request.text.encode()) + len(request.system.encode()) + schema
        tokens_in = text + _FORMAT_TOKENS + len(request.images) * self._endpoint.image_tokens
        return self._priced(tokens_in, request.max_tokens, is_stated=False)

    def complete(self, request: ChatRequest) -> ChatReply:
        """See the port."""
        answer = self._decode(self._connection.post("/chat/completions", self._body(request)), _Completion)
        choice = answer.choices[0]
        tokens = choice.logprobs.content if choice.logprobs is not None else None
        return ChatReply(
            text=(choice.message.content or "").strip(),
            is_cut=choice.finish_reason == "length",
            usage=self._usage(answer.usage, request),
            tokens=tuple(map(_token, tokens or ())),
            model=(answer.model or "")[:200],
        )

    def models(self) -> set[str]:
        """Names of the models that the server has; raises as `complete`."""
        return {model.id for model in self._decode(self._connection.get("/models"), _Models).data}

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        content: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(png).decode()}}
            for png in request.images
        ]
        asked: Any = [*content, {"type": "text", "text": request.text}] if content else request.text
        messages = [{"role": "system", "content": request.system}] if request.system else []
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": [*messages, {"role": "user", "content": asked}],
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            "max_tokens": request.max_tokens,
        }
        if request.top_logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        if request.schema is not None:
            named = {"name": request.schema.get("title", "reply"), "schema": dict(request.schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body

    def _decode(self, data: bytes, kind: type[Any]) -> Any:
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise DataLoss(
                "The endpoint's answer cannot be read.",
                field=f"endpoints.{self._name}",
                remedy="Does base_url lead to an OpenAI-compatible server?",
            ) from None

    def _usage(self, stated: msgspec.Raw, request: ChatRequest) -> Usage:
        """What the answer cost by the server's count; the most that it may cost where it has none that can be."""
        try:
            usage = msgspec.json.decode(stated, type=_Usage)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            _UNSTATED.labels(self._name).inc()
            get_logger("chat").warning("usage_not_stated", endpoint=self._name, counted_as="the most that it may cost")
            return self.most(request)
        return self._priced(usage.prompt_tokens, usage.completion_tokens, is_stated=True)

    def _priced(self, tokens_in: int, tokens_out: int, *, is_stated: bool) -> Usage:
        prices = self._endpoint.usd_per_million
        return Usage(tokens_in, tokens_out, (tokens_in * prices.into + tokens_out * prices.out) / 1e6, is_stated)


def open_chat(name: str, endpoint: Endpoint, clock: Callable[[], float] = time.monotonic) -> OpenAIChat:
    """A client of an endpoint; its key file is read now, and again when it changes.

    Raises:
        FailedPrecondition: The key file or the authority cannot be read.
    """
    paths: list[Path] = [] if endpoint.key_file is None else [endpoint.key_file]
    key = Reloaded(paths, lambda: read_key(endpoint.key_file), f"key of endpoint {name}")
    connection = Connection(
        endpoint.base_url,
        key.get,
        endpoint.ca_file,
        endpoint.timeout_seconds,
        endpoint.max_in_flight,
        f"endpoints.{name}",
        clock,
    )
    return OpenAIChat(name, endpoint, connection)


def _token(token: _Token) -> ChatToken:
    rivals = tuple((_bytes(rival), _logprob(rival)) for rival in token.top_logprobs or ())
    return ChatToken(_bytes(token), _logprob(token), rivals)


def _bytes(token: _Rival) -> bytes:
    return bytes(token.bytes) if token.bytes else token.token.encode(errors="replace")


def _logprob(token: _Rival) -> float:
    return math.nan if token.logprob is None else token.logprob
