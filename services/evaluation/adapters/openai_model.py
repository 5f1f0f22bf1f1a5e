"""`VisionLanguageModel` on an OpenAI-compatible server, such as vLLM.

Nothing is sent anywhere but to the configured base URL: no proxy of the environment, no redirect is followed. Each answer is one
request with a seed of its own, so it depends on (seed, item, run) as far as the server keeps to seeds; unlike in process, the
rounding of a batch may change an answer.
"""

from __future__ import annotations

import base64
import io
import math
import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import httpx2
import numpy as np
import openai
from numpy.typing import NDArray
from PIL import Image

from services.evaluation.domain.answer_tokens import token_ends
from services.evaluation.domain.likelihood import likeliest
from services.evaluation.domain.sampling import keyed_gumbel, keyed_seed
from services.evaluation.ports import Generation, Prompt, Sampling
from services.evaluation.settings import ServerSection
from shared.errors import (
    BudgetExhausted,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    MedqError,
    NotFound,
    PermissionDenied,
    Unavailable,
)

#: Connecting takes no longer than this, in seconds.
_CONNECT_SECONDS = 10.0
#: Of how many of the likeliest tokens a server tells the probabilities: the most that the protocol allows.
_TOP_TOKENS = 20
_KINDS: tuple[tuple[type[openai.APIError], type[MedqError], str], ...] = (
    (openai.NotFoundError, NotFound, "Serve the model under its URI (--served-model-name)."),
    (openai.APITimeoutError, DeadlineExceeded, "Raise {place}.request_seconds, or lower {place}.concurrency."),
    (openai.RateLimitError, BudgetExhausted, "Lower {place}.concurrency."),
    (openai.AuthenticationError, PermissionDenied, "Set {place}.api_key."),
    (openai.PermissionDeniedError, PermissionDenied, "Set {place}.api_key."),
    (openai.InternalServerError, Unavailable, "Look at the model server."),
    (openai.APIConnectionError, Unavailable, "Look at the model server, and at what may reach it."),
    (openai.APIStatusError, InvalidArgument, "Look at the prompt's length and the sampling settings."),
    (openai.APIError, Unavailable, "Look at the model server."),
)


class OpenAIServer:
    """An OpenAI-compatible server.

    Args:
        section: Where it is, how long and how often to ask.
        place: The section's name in the settings, for errors.
    """

    def __init__(self, section: ServerSection, place: str = "vllm") -> None:
        self._section = section
        self._place = place
        timeout = httpx2.Timeout(section.request_seconds, connect=_CONNECT_SECONDS)
        self._http = httpx2.Client(
            verify=ssl.create_default_context(cafile=section.ca_file),
            follow_redirects=False,
            trust_env=False,
            timeout=timeout,
            limits=httpx2.Limits(max_connections=section.concurrency),
        )
        self._client = openai.OpenAI(
            base_url=section.base_url,
            api_key=section.api_key.get_secret_value() or "none",  # the client demands one
            timeout=timeout,
            max_retries=section.retries,
            http_client=self._http,
        )

    def models(self) -> set[str]:
        """Names of the models that are served.

        Raises:
            Unavailable, DeadlineExceeded, PermissionDenied: the server does not answer, or not us.
        """
        with _typed_errors(self._place):
            return {model.id for model in self._client.models.list()}

    def n_requests(self) -> int:
        """Requests that vLLM is answering or has waiting, from anyone; 0 where it does not say."""
        root = self._section.base_url.rstrip("/").removesuffix("/v1")
        try:
            answer = self._http.get(f"{root}/metrics", timeout=_CONNECT_SECONDS)
        except httpx2.HTTPError:
            return 0  # what does not answer has nothing to end
        names = ("vllm:num_requests_running", "vllm:num_requests_waiting")
        rows = [line.split() for line in answer.text.splitlines() if line.startswith(names)]
        return int(sum(float(row[-1]) for row in rows)) if answer.is_success else 0

    def generate(self, model: str, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generation]:
        """Answer each prompt, in order, some at the same time; the first error ends what has not begun.

        Raises:
            NotFound: no such model is served.
            FailedPrecondition: none of several answers has probabilities.
            MedqError: a request failed, and again after the retries.
        """
        images = {id(prompt.image): prompt.image for prompt in prompts}
        urls = {key: _data_url(image) for key, image in images.items()}
        pool = ThreadPoolExecutor(self._section.concurrency, thread_name_prefix="openai")
        try:
            futures = [pool.submit(self._answer, model, prompt, urls[id(prompt.image)], sampling) for prompt in prompts]
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
        self._client.close()

    def ask(self, model: str, text: str, max_tokens: int) -> str:
        """The greedy reply to a text alone.

        Raises:
            NotFound: no such model is served.
            MedqError: the request failed, and again after the retries.
        """
        with _typed_errors(self._place):
            answer = self._client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": text}], temperature=0.0, max_tokens=max_tokens
            )
        return (answer.choices[0].message.content or "").strip() if answer.choices else ""

    def _answer(self, model: str, prompt: Prompt, image_url: str, sampling: Sampling) -> Generation:
        if prompt.candidates:
            return self._choose(model, prompt, image_url, sampling)
        choice, n_tokens = self._complete(
            model,
            prompt,
            image_url,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_new_tokens,
            seed=keyed_seed(sampling.seed, prompt.item_id, prompt.run),
        )
        tokens = choice.logprobs.content or [] if choice.logprobs else []
        logprobs = tuple(math.nan if token.logprob is None else float(token.logprob) for token in tokens)
        text = (choice.message.content or "").strip()
        return Generation(text, logprobs, n_tokens or len(logprobs), token_ends(_prefixes(tokens), text))

    def _choose(self, model: str, prompt: Prompt, image_url: str, sampling: Sampling) -> Generation:
        """The likeliest of letters by the probabilities of the first token, which is all that the protocol gives."""
        if any(len(candidate) != 1 for candidate in prompt.candidates):
            raise FailedPrecondition(
                "A model server does not tell how likely a whole text is.",
                field="answer_form",
                remedy="Let the answer be a letter, read replies by strict, or run the model in the evaluation service.",
            )
        choice, _ = self._complete(model, prompt, image_url, temperature=0.0, max_tokens=1, top_logprobs=_TOP_TOKENS)
        first = choice.logprobs.content[0] if choice.logprobs and choice.logprobs.content else None
        found = [_logprob_of(candidate, first.top_logprobs if first else []) for candidate in prompt.candidates]
        if not any(math.isfinite(logprob) for logprob in found):  # the model says something else: that is its reply
            return Generation((choice.message.content or "").strip(), (first.logprob,) if first else (), 1)
        noise = keyed_gumbel(sampling.seed, prompt.item_id, prompt.run, 0, len(found))
        k = likeliest(found, sampling.temperature, noise)
        return Generation(prompt.candidates[k], (found[k],), 1, (1,))

    def _complete(self, model: str, prompt: Prompt, image_url: str, **settings: Any) -> tuple[Any, int]:
        """The model's first choice, with log-probabilities, and how many tokens the server counts."""
        content: list[Any] = [
            {"type": "image_url", "image_url": {"url": image_url}},
            {"type": "text", "text": prompt.text},
        ]
        with _typed_errors(self._place):
            answer = self._client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": content}], logprobs=True, **settings
            )
        if not answer.choices:
            raise FailedPrecondition("The model server gave no answer.", field="model", remedy="Look at its log.")
        return answer.choices[0], answer.usage.completion_tokens if answer.usage else 0


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


def _logprob_of(letter: str, tokens: Sequence[Any]) -> float:
    """How likely a letter is among the likeliest first tokens, with or without white space before it; -inf where it is none."""
    logprobs = [float(token.logprob) for token in tokens if token.token.strip() == letter]
    return float(np.logaddexp.reduce(logprobs)) if logprobs else -math.inf


@contextmanager
def _typed_errors(place: str) -> Iterator[None]:
    """Turn what the client raises, its retries spent, into a typed error; the server's own words are not passed on."""
    try:
        yield
    except openai.APIError as error:
        _, kind, remedy = next(row for row in _KINDS if isinstance(error, row[0]))
        status = getattr(error, "status_code", "")
        message = f"The model server refused: {status}." if status else "The model server does not answer."
        raise kind(message, field=f"{place}.base_url", remedy=remedy.format(place=place)) from error


def _prefixes(tokens: Sequence[Any]) -> list[str]:
    """The text of the first 1, 2, .. tokens, each given as bytes, or as text where the server has no bytes."""
    parts = (bytes(token.bytes) if token.bytes else token.token.encode() for token in tokens)
    return [prefix.decode(errors="ignore") for prefix in accumulate(parts)]


def _data_url(image: NDArray[np.uint8]) -> str:
    """(height, width, 3) uint8 as a PNG in a data URL: what the model sees is what was stored."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
