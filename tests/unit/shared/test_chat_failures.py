"""A server of models that fails, breaks off, drips, or answers what is no answer."""

from __future__ import annotations

import gzip
import itertools
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from shared.chat.client import OpenAIChat, open_chat
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
    endpoint_of,
    floods,
    hangs,
    hangs_up,
    redirects,
    refuses,
    sends,
)

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


def test_every_error_of_a_try_is_typed(server):
    """Whatever a server does, one try ends as a reply or a `MedqError`."""
    chat = open_chat("any", endpoint_of(server), ticking())
    behaviours = [drips, drips_headers, cuts, hangs_up, refuses(418), refuses(599), sends(b"\0"), refuses(200)]
    for behaviour in behaviours:
        server.script.append(behaviour)
        with pytest.raises(MedqError):
            chat.complete(ASKED)
    assert isinstance(chat, OpenAIChat)
