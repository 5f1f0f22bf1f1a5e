"""The real client before a server that speaks vLLM's protocol."""

import base64
import io
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from services.evaluation.adapters.openai_model import OpenAIModel, OpenAIServer
from services.evaluation.domain.sampling import keyed_seed
from services.evaluation.ports import Prompt, Sampling
from services.evaluation.settings import VllmSection
from shared.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unavailable
from tests.support.vllm import FakeVllm, served_vllm, token

IMAGE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


@pytest.fixture
def vllm() -> Iterator[FakeVllm]:
    with served_vllm() as vllm:
        vllm.served = "model"
        yield vllm


def _server(vllm: FakeVllm, **changes: object) -> OpenAIServer:
    return OpenAIServer(VllmSection.model_validate({"base_url": vllm.base_url} | changes), pause=lambda seconds: None)


def _prompts(n: int) -> list[Prompt]:
    return [Prompt(f"item{i}", i % 3, IMAGE, f"question {i}") for i in range(n)]


def test_answers_come_in_order_each_with_a_seed_of_its_own(vllm: FakeVllm) -> None:
    prompts = _prompts(20)
    answers = OpenAIModel(_server(vllm, concurrency=4), "model").generate(prompts, Sampling(7, 0.8, 0.9, 5))
    seeds = [keyed_seed(7, prompt.item_id, prompt.run) for prompt in prompts]
    assert [answer.text for answer in answers] == [f"question {i} {seed}" for i, seed in enumerate(seeds)]
    assert len(set(seeds)) == 20
    assert answers[0].token_logprobs == (-0.5, -0.5)
    assert answers[0].n_tokens == 3
    assert vllm.most_at_once <= 4


def test_image_reaches_the_server_pixel_for_pixel_with_the_sampling(vllm: FakeVllm) -> None:
    OpenAIModel(_server(vllm), "model").generate(_prompts(1), Sampling(7, 0.8, 0.9, 5))
    (body,) = vllm.asked
    assert (body["temperature"], body["top_p"], body["max_tokens"], body["logprobs"]) == (0.8, 0.9, 5, True)
    kind, _, data = body["messages"][0]["content"][0]["image_url"]["url"].partition(",")
    assert kind == "data:image/png;base64"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), IMAGE)


def test_passing_errors_are_retried(vllm: FakeVllm) -> None:
    vllm.failures = [429, 503]
    assert OpenAIModel(_server(vllm, retries=2), "model").generate(_prompts(1), Sampling(0))
    assert len(vllm.asked) == 3


@pytest.mark.parametrize(
    ("status", "kind"), [(503, Unavailable), (400, InvalidArgument), (401, PermissionDenied), (404, NotFound)]
)
def test_refusal_is_a_typed_error_without_the_servers_words(vllm: FakeVllm, status: int, kind: type[Exception]) -> None:
    vllm.failures = [status]
    with pytest.raises(kind, match=str(status)) as caught:
        OpenAIModel(_server(vllm, retries=0), "model").generate(_prompts(1), Sampling(0))
    assert "secret" not in str(caught.value)


def test_redirect_is_not_followed(vllm: FakeVllm) -> None:
    vllm.failures = [302]
    with pytest.raises(FailedPrecondition, match="302"):
        OpenAIModel(_server(vllm, retries=0), "model").generate(_prompts(1), Sampling(0))


def test_silent_server_is_given_up(vllm: FakeVllm) -> None:
    with vllm.changed, pytest.raises(DeadlineExceeded):
        OpenAIModel(_server(vllm, retries=0, request_seconds=0.1), "model").generate(_prompts(1), Sampling(0))


def test_server_that_is_away_is_unavailable() -> None:
    section = VllmSection(base_url="http://127.0.0.1:9/v1", retries=0)
    with pytest.raises(Unavailable):
        OpenAIServer(section).models()
    assert OpenAIServer(section).n_requests() == 0


@pytest.mark.parametrize("is_bytes", [True, False])
def test_each_token_ends_where_its_text_does_and_the_end_token_adds_none(vllm: FakeVllm, is_bytes: bool) -> None:
    tokens = [token(text, is_bytes=is_bytes) for text in (" ", "é", " C", ".", "<|im_end|>")]
    vllm.replies = [(" é C.", tokens)]
    (answer,) = OpenAIModel(_server(vllm), "model").generate(_prompts(1), Sampling(0))
    assert answer.text == "é C."
    assert answer.token_ends == (0, 1, 3, 4, 4)


def test_tokens_that_do_not_spell_the_reply_have_no_known_ends(vllm: FakeVllm) -> None:
    vllm.replies = [("The answer", [token("thought"), token("The")])]
    (answer,) = OpenAIModel(_server(vllm), "model").generate(_prompts(1), Sampling(0))
    assert answer.token_ends == ()


def test_missing_log_probabilities_cost_one_answer_and_not_the_batch(vllm: FakeVllm) -> None:
    vllm.replies = [("C", None), ("C", [token("C", None)])]
    answers = OpenAIModel(_server(vllm, concurrency=1), "model").generate(_prompts(3), Sampling(0))
    assert answers[0].token_logprobs == ()
    assert [math.isnan(logprob) for logprob in answers[1].token_logprobs] == [True]
    assert answers[2].token_logprobs == (-0.5, -0.5)


def test_a_server_that_never_gives_log_probabilities_is_told_to(vllm: FakeVllm) -> None:
    vllm.replies = [("C", None)] * 2
    with pytest.raises(FailedPrecondition, match="no probabilities"):
        OpenAIModel(_server(vllm), "model").generate(_prompts(2), Sampling(0))


def _first(**logprobs: float) -> list[dict[str, object]]:
    """The first token of a reply, with the likeliest ones in its place."""
    return [token("x", -9.0) | {"top_logprobs": [token(text, value) for text, value in logprobs.items()]}]


def test_the_likeliest_letter_is_chosen_by_the_first_token(vllm: FakeVllm) -> None:
    vllm.replies = [("The", _first(The=-0.1, B=-2.0, A=-3.0))]
    prompt = replace(_prompts(1)[0], candidates=("A", "B"))
    (answer,) = OpenAIModel(_server(vllm), "model").generate([prompt], Sampling(0, temperature=0.0))
    assert (answer.text, answer.token_logprobs) == ("B", (-2.0,))
    assert (vllm.asked[0]["max_tokens"], vllm.asked[0]["top_logprobs"]) == (1, 20)


def test_tokens_that_differ_in_white_space_are_one_letter(vllm: FakeVllm) -> None:
    half = math.log(0.3)
    vllm.replies = [("A", _first(A=math.log(0.4), **{"B": half, " B": half}))]
    prompt = replace(_prompts(1)[0], candidates=("A", "B"))
    (answer,) = OpenAIModel(_server(vllm), "model").generate([prompt], Sampling(0, temperature=0.0))
    assert answer.text == "B"
    assert math.exp(answer.token_logprobs[0]) == pytest.approx(0.6)


def test_a_model_to_which_no_letter_is_likely_keeps_its_own_reply(vllm: FakeVllm) -> None:
    vllm.replies = [("Sorry", _first(Sorry=-0.1, I=-2.0))]
    prompt = replace(_prompts(1)[0], candidates=("A", "B"))
    (answer,) = OpenAIModel(_server(vllm), "model").generate([prompt], Sampling(0, temperature=0.0))
    assert answer.text == "Sorry"


def test_whole_texts_are_refused_with_the_way_out(vllm: FakeVllm) -> None:
    prompt = replace(_prompts(1)[0], candidates=("Noise", "Motion"))
    with pytest.raises(FailedPrecondition, match="whole text"):
        OpenAIModel(_server(vllm), "model").generate([prompt], Sampling(0))
    assert not vllm.asked
