"""The one client before a server that misbehaves on purpose."""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from PIL import Image

from shared.chat.client import OpenAIChat, open_chat
from shared.chat.endpoints import Endpoint
from shared.chat.messages import ChatRequest
from shared.errors import (
    BudgetExhausted,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    MedqError,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from tests.support.chat_server import (
    chat_server,
    cuts,
    drips,
    drips_headers,
    floods,
    hangs,
    hangs_up,
    redirects,
    refuses,
    says,
    sends,
    token,
)

ASKED = ChatRequest("Is it blurred?", max_tokens=10)


@pytest.fixture
def server():
    with chat_server() as server:
        yield server


def endpoint_of(server, **changes):
    values = {
        "base_url": server.base_url,
        "model": "gpt-4o",
        "usd_per_million": {"in": 2.5, "out": 10.0},
        "prices_of": "2026-11-01",
        "timeout_seconds": 20,
        **changes,
    }
    return Endpoint.model_validate(values)


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


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidArgument),
        (401, PermissionDenied),
        (403, PermissionDenied),
        (404, NotFound),
        (413, InvalidArgument),
        (429, Unavailable),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, DeadlineExceeded),
        (408, DeadlineExceeded),
        (302, FailedPrecondition),
    ],
)
def test_a_refusal_is_a_typed_error_without_the_servers_words(server, chat, status, kind):
    server.script.append(refuses(status))
    with pytest.raises(kind, match=str(status)) as caught:
        chat.complete(ASKED)
    assert "secret" not in str(caught.value)
    assert caught.value.field == "endpoints.gpt-4o"
    assert caught.value.remedy
    assert len(server.asked) == 1


def test_an_account_that_is_empty_is_not_tried_again(server, chat):
    server.script.append(refuses(429, error={"message": "secret", "code": "insufficient_quota"}))
    with pytest.raises(BudgetExhausted):
        chat.complete(ASKED)


@pytest.mark.parametrize("error", [[], "text", 7, {"code": {}}, {"message": None, "code": [1]}])
def test_what_stands_in_a_refusal_may_be_anything(server, chat, error):
    server.script.append(refuses(429, error=error))
    with pytest.raises(Unavailable):
        chat.complete(ASKED)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After-Ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "1e300"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"Retry-After": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
    ],
)
def test_how_long_to_wait_is_what_the_server_says(server, chat, headers, seconds):
    server.script.append(refuses(429, headers))
    with pytest.raises(Unavailable) as caught:
        chat.complete(ASKED)
    assert caught.value.retry_after == seconds


def test_a_date_to_wait_for_is_turned_into_seconds(server, chat):
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    server.script.append(refuses(503, {"Retry-After": later}))
    with pytest.raises(Unavailable) as caught:
        chat.complete(ASKED)
    assert 3000 < caught.value.retry_after < 3700


def test_no_redirect_is_followed(server, chat):
    with chat_server() as elsewhere:
        server.script.append(redirects(elsewhere.base_url + "/chat/completions"))
        with pytest.raises(FailedPrecondition, match="307"):
            chat.complete(ASKED)
        assert not elsewhere.asked


@pytest.mark.parametrize("behaviour", [drips, drips_headers])
def test_a_server_that_drips_has_no_more_time_than_one_that_hangs(server, behaviour):
    server.script.append(behaviour)
    with pytest.raises(DeadlineExceeded, match="in time"):
        open_chat("slow", endpoint_of(server), ticking()).complete(ASKED)


def test_a_server_that_says_nothing_is_given_up(server):
    server.script.append(hangs)
    with pytest.raises(DeadlineExceeded, match="in time"):
        open_chat("slow", endpoint_of(server, timeout_seconds=0.1)).complete(ASKED)


@pytest.mark.parametrize("behaviour", [cuts, hangs_up])
def test_an_answer_that_breaks_off_is_of_unknown_cost_and_not_asked_again(server, chat, behaviour):
    server.script.append(behaviour)
    with pytest.raises(DeadlineExceeded, match="broke off"):
        chat.complete(ASKED)
    assert len(server.asked) == 1
    assert chat.complete(ASKED).text == "Yes."


def test_a_server_that_is_away_was_sent_nothing():
    with chat_server() as server:
        away = endpoint_of(server)
    with pytest.raises(Unavailable, match="reached"):
        open_chat("away", away).complete(ASKED)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>Please log in</html>",
        b"[]",
        b"null",
        b"{}",
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b'{"choices": [{"message": {"content": "A"}, "logprobs": {"content": [{"token": 3}]}}]}',
        b'{"choices": [{"message": {"content": "A"}, "logprobs": {"content": [{"token": "A", "bytes": [999]}]}}]}',
        b'{"choices": [{"message": {"content": "\xff"}}]}',
        b'{"choices": [{"message": {"content": "A',
        b"[" * 100_000,
        b'{"choices": ' + b"[" * 100_000,
        gzip.compress(b"{}", mtime=0),
    ],
)
def test_garbage_is_a_typed_error_of_unknown_cost(server, chat, data):
    server.script.append(sends(data))
    with pytest.raises(DataLoss, match="cannot be read"):
        chat.complete(ASKED)


def test_what_is_compressed_is_not_unpacked(server, chat):
    bomb = gzip.compress(b" " * 2**26)
    server.script.append(sends(bomb, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(DataLoss, match="cannot be read"):
        chat.complete(ASKED)


def test_a_reply_larger_than_any_model_gives_is_not_read_to_its_end(server, chat):
    server.script.append(floods)
    with pytest.raises(DataLoss, match="too large"):
        chat.complete(ASKED)
    assert chat.complete(ASKED).text == "Yes."


def test_an_answer_that_calls_itself_something_else_is_read_all_the_same(server, chat):
    body = json.dumps({"choices": [{"message": {"content": "A"}}]}).encode()
    server.script.append(sends(body, "text/plain"))
    assert chat.complete(ASKED).text == "A"


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


def test_every_error_of_a_try_is_typed(server):
    """Whatever a server does, one try ends as a reply or a `MedqError`."""
    chat = open_chat("any", endpoint_of(server), ticking())
    behaviours = [drips, drips_headers, cuts, hangs_up, refuses(418), refuses(599), sends(b"\0"), refuses(200)]
    for behaviour in behaviours:
        server.script.append(behaviour)
        with pytest.raises(MedqError):
            chat.complete(ASKED)
    assert isinstance(chat, OpenAIChat)
