"""`VisionLanguageModel` on an OpenAI-compatible server that the site runs itself, such as vLLM: no cost, no audit of egress.

Each answer is one request with a seed of its own, so it depends on (seed, item, run) as far as the server keeps to seeds; unlike
in process, the rounding of a batch may change an answer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate

import numpy as np
import tenacity

from services.evaluation.domain.answer_tokens import token_ends
from services.evaluation.domain.likelihood import likeliest
from services.evaluation.domain.sampling import keyed_gumbel, keyed_seed
from services.evaluation.ports import Generation, Prompt, Sampling
from services.evaluation.settings import VllmSection
from shared.chat.client import OpenAIChat
from shared.chat.connection import Connection
from shared.chat.egress import encode_png
from shared.chat.endpoints import Endpoint
from shared.chat.messages import Chat, ChatReply, ChatRequest, ChatToken
from shared.errors import DataLoss, DeadlineExceeded, FailedPrecondition, MedqError, Unavailable

#: Of how many of the likeliest tokens a server tells the probabilities: the most that the protocol allows.
_TOP_TOKENS = 20
#: The pauses between two tries, in seconds: the first, which doubles, and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
_MAY_PASS = (Unavailable, DeadlineExceeded, DataLoss)


class OpenAIServer:
    """An OpenAI-compatible server of the site.

    Args:
        section: Where it is, how long and how often to ask.
        pause: Waits so many seconds.
    """

    def __init__(self, section: VllmSection, pause: Callable[[float], None] = time.sleep) -> None:
        self._section = section
        self._pause = pause
        self._endpoint = Endpoint.model_validate(
            {
                "base_url": section.base_url,
                "model": "any",
                "usd_per_million": {"in": 0, "out": 0},
                "is_plaintext_allowed": True,
            }
        )
        self._connection = Connection(
            self._endpoint.base_url,
            section.api_key.get_secret_value,
            section.ca_file,
            section.request_seconds,
            section.concurrency,
            "vllm.base_url",
        )

    def models(self) -> set[str]:
        """Names of the models that are served.

        Raises:
            Unavailable, DeadlineExceeded, DataLoss, PermissionDenied: the server does not answer, or not us.
        """
        return self._chat("any").models()

    def n_requests(self) -> int:
        """Requests that vLLM is answering or has waiting, from anyone; 0 where it does not say."""
        root = self._endpoint.base_url.removesuffix("/v1")
        try:
            text = self._connection.get(f"{root}/metrics").decode(errors="replace")
        except MedqError:
            return 0  # what does not answer has nothing to end
        names = ("vllm:num_requests_running", "vllm:num_requests_waiting")
        rows = [line.split() for line in text.splitlines() if line.startswith(names)]
        return int(sum(float(row[-1]) for row in rows))

    def generate(self, model: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """Answer each prompt, in order, some at the same time; the first error ends what has not begun.

        Raises:
            NotFound: no such model is served.
            FailedPrecondition: none of several answers has probabilities.
            MedqError: a request failed, and again after the retries.
        """
        chat = self._chat(model)
        files = {id(prompt.image): encode_png(prompt.image) for prompt in prompts}
        pool = ThreadPoolExecutor(self._section.concurrency, thread_name_prefix="openai")
        try:
            futures = [pool.submit(self._answer, chat, prompt, files[id(prompt.image)], sampling) for prompt in prompts]
            answers = [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)
        # One answer without probabilities costs that answer; a batch without any is how the server is set up.
        if len(answers) > 1 and not any(answer.token_logprobs for answer in answers):
            remedy = "Serve the model with logprobs."
            raise FailedPrecondition("The model server gave no probabilities.", field="model", remedy=remedy)
        return answers

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def _chat(self, model: str) -> OpenAIChat:
        return OpenAIChat("vllm", self._endpoint.model_copy(update={"model": model}), self._connection)

    def _answer(self, chat: Chat, prompt: Prompt, image: bytes, sampling: Sampling) -> Generation:
        if prompt.candidates:
            return self._choose(chat, prompt, image, sampling)
        reply = self._complete(
            chat,
            ChatRequest(
                prompt.text,
                (image,),
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=keyed_seed(sampling.seed, prompt.item_id, prompt.run),
                max_tokens=sampling.max_new_tokens,
                top_logprobs=0,
            ),
        )
        logprobs = tuple(token.logprob for token in reply.tokens)
        n_tokens = reply.usage.tokens_out if reply.usage.is_stated else 0
        return Generation(
            reply.text, logprobs, n_tokens or len(logprobs), token_ends(_prefixes(reply.tokens), reply.text)
        )

    def _choose(self, chat: Chat, prompt: Prompt, image: bytes, sampling: Sampling) -> Generation:
        """The likeliest of letters by the probabilities of the first token, which is all that the protocol gives."""
        if any(len(candidate) != 1 for candidate in prompt.candidates):
            raise FailedPrecondition(
                "A model server does not tell how likely a whole text is.",
                field="answer_form",
                remedy="Let the answer be a letter, read replies by strict, or run the model in the evaluation service.",
            )
        reply = self._complete(chat, ChatRequest(prompt.text, (image,), max_tokens=1, top_logprobs=_TOP_TOKENS))
        first = reply.tokens[0] if reply.tokens else None
        found = [_logprob_of(candidate, first.rivals if first else ()) for candidate in prompt.candidates]
        if not any(math.isfinite(logprob) for logprob in found):  # the model says something else: that is its reply
            return Generation(reply.text, (first.logprob,) if first else (), 1)
        noise = keyed_gumbel(sampling.seed, prompt.item_id, prompt.run, 0, len(found))
        k = likeliest(found, sampling.temperature, noise)
        return Generation(prompt.candidates[k], (found[k],), 1, (1,))

    def _complete(self, chat: Chat, request: ChatRequest) -> ChatReply:
        """A reply, asked for again where that may help: it is our own server, so no try costs anything."""
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_MAY_PASS),
            stop=tenacity.stop_after_attempt(self._section.retries + 1),
            wait=_seconds_to_wait,
            sleep=self._pause,
            reraise=True,
        )(chat.complete, request)


class OpenAIModel:
    """A `VisionLanguageModel`: one model of a server.

    Args:
        server: Where it is served.
        name: Under which name.
    """

    def __init__(self, server: OpenAIServer, name: str) -> None:
        self._server = server
        self._name = name

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """Answer each prompt, in order; see `OpenAIServer.generate`."""
        return self._server.generate(self._name, prompts, sampling)


def _seconds_to_wait(state: tenacity.RetryCallState) -> float:
    """What the server asks for, up to the longest pause; else a pause that doubles."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after if isinstance(error, Unavailable) else None
    own = _FIRST_PAUSE * 2.0 ** (state.attempt_number - 1)
    return min(_LONGEST_PAUSE, own if asked is None else asked)


def _logprob_of(letter: str, tokens: Sequence[tuple[bytes, float]]) -> float:
    """How likely a letter is among the likeliest first tokens, with or without white space before it; -inf where it is none."""
    logprobs = [logprob for text, logprob in tokens if text.decode(errors="replace").strip() == letter]
    return float(np.logaddexp.reduce(logprobs)) if logprobs else -math.inf


def _prefixes(tokens: Sequence[ChatToken]) -> list[str]:
    """The text of the first 1, 2, .. tokens."""
    return [prefix.decode(errors="ignore") for prefix in accumulate(token.text for token in tokens)]
