"""The one client before a server that misbehaves on purpose."""

from __future__ import annotations

import base64
import io
import itertools
import math

import pytest
from PIL import Image

from shared.chat.client import open_chat
from shared.chat.messages import ChatRequest
from tests.support.chat_server import chat_server, endpoint_of, says, sends, token

ASKED = ChatRequest("Is it blurred?", max_tokens=10)


@pytest.fixture
def server():
    with chat_server() as server:
        yield server


@pytest.fixture
def chat(server):
    chat = open_chat("gpt-4o", endpoint_of(server))
    yield chat
    chat.close()


def ticking():
    """A clock on which each look takes a second: nobody waits for it."""
    seconds = itertools.count()
    return lambda: float(next(seconds))


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (1, 2, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_reply_has_text_usage_price_and_the_name_of_the_model(server, chat):
    server.script.append(says(" Yes. ", usage=(1000, 20)))
    reply = chat.complete(ASKED)
    assert (reply.text, reply.is_cut, reply.model) == ("Yes.", False, "gpt-4o-0806")
    assert (reply.usage.tokens_in, reply.usage.tokens_out, reply.usage.is_stated) == (1000, 20, True)
    assert reply.usage.usd == pytest.approx(1000 * 2.5e-6 + 20 * 10e-6)


def test_everything_that_is_asked_is_sent(server, chat):
    schema = {"title": "verdict", "type": "object"}
    chat.complete(ChatRequest("Q", (png(),), "S", schema, 0.7, 0.9, 42, 77, 20))
    (asked,) = server.asked
    body = asked.body
    assert [body[key] for key in ("model", "temperature", "top_p", "seed", "max_tokens", "logprobs", "top_logprobs")] == [
        "gpt-4o", 0.7, 0.9, 42, 77, True, 20,
    ]  # fmt: skip
    assert body["messages"][0] == {"role": "system", "content": "S"}
    image, text = body["messages"][1]["content"]
    assert text == {"type": "text", "text": "Q"}
    assert base64.b64decode(image["image_url"]["url"].removeprefix("data:image/png;base64,")) == png()
    assert body["response_format"]["json_schema"] == {"name": "verdict", "schema": schema, "strict": True}


def test_nothing_else_is_sent(server, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "our-hospital")
    monkeypatch.setenv("OPENAI_API_KEY", "another key")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    open_chat("local", endpoint_of(server)).complete(ASKED)
    (asked,) = server.asked
    assert {name.lower() for name in asked.headers} <= {
        "host", "authorization", "content-type", "content-length", "accept", "connection", "user-agent", "accept-encoding",
    }  # fmt: skip
    assert "Authorization" not in asked.headers
    assert asked.body.keys() == {"model", "messages", "temperature", "top_p", "seed", "max_tokens"}


def test_the_key_is_read_again_when_it_changes(server, tmp_path):
    file = tmp_path / "key"
    file.write_text("first\n")
    chat = open_chat("gpt-4o", endpoint_of(server, key_file=file))
    chat.complete(ASKED)
    file.write_text("the second\n".replace(" ", "-"))
    chat.complete(ASKED)
    assert [asked.headers["Authorization"] for asked in server.asked] == ["Bearer first", "Bearer the-second"]


def test_log_probabilities_and_rivals_come_as_bytes(server, chat):
    server.script.append(says("é", tokens=[token("é", -0.1, {"é": -0.1, "x": -3.0}), token("", None)]))
    first, last = chat.complete(ASKED).tokens
    assert (first.text, first.logprob, first.rivals) == ("é".encode(), -0.1, (("é".encode(), -0.1), (b"x", -3.0)))
    assert math.isnan(last.logprob)


def test_an_answer_that_ended_at_its_longest_is_cut(server, chat):
    server.script.append(says("The image sho", finish="length"))
    assert chat.complete(ASKED).is_cut


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        "many",
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": 10**12, "completion_tokens": 1},
        {"prompt_tokens": 1.5, "completion_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": 1},
        {"prompt_tokens": "7", "completion_tokens": 1},
        {"prompt_tokens": 7},
    ],
)
def test_usage_that_cannot_be_counts_as_the_most_and_says_so(server, chat, usage):
    server.script.append(says("Yes.", usage=usage))
    reply = chat.complete(ASKED)
    assert reply.usage == chat.most(ASKED)
    assert not reply.usage.is_stated


def test_the_most_counts_each_byte_each_image_and_the_longest_reply(server):
    chat = open_chat("gpt-4o", endpoint_of(server, image_tokens=1000))
    plain, whole = chat.most(ChatRequest("")), chat.most(ChatRequest("é" * 10, (b"", b""), "you", max_tokens=50))
    assert whole.tokens_in - plain.tokens_in == 20 + 3 + 2000
    assert whole.tokens_out == 50
    assert whole.usd == pytest.approx((whole.tokens_in * 2.5 + 50 * 10) / 1e6)


def test_no_more_are_in_flight_than_the_endpoint_takes(server):
    from concurrent.futures import ThreadPoolExecutor

    chat = open_chat("small", endpoint_of(server, max_in_flight=2))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: chat.complete(ASKED), range(16)))
    assert len(server.asked) == 16
    assert server.most_at_once <= 2


def test_models_are_listed(server, chat):
    server.script.append(sends(b'{"object": "list", "data": [{"id": "a"}, {"id": "b"}]}'))
    assert chat.models() == {"a", "b"}
    assert server.asked[0].path == "/v1/models"
