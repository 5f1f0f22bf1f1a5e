"""Who gets to the pages: a token of this start, of a list, or nobody; and what every answer says to browsers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from fastapi.testclient import TestClient

from shared.errors import FailedPrecondition
from shared.rpc.channels import Channels
from shared.rpc.rights import Role
from tests.support.guarded import add_caller, guarded_server
from web.app import create_app
from web.sessions import Session, Sessions
from web.settings import WebSettings

URL = "http://127.0.0.1:8080"
START = "the token of this start"
OURS = {"origin": URL}


@pytest.fixture
def embedded() -> Iterator[TestClient]:
    """Pages of services that ask nobody; none of them answers."""
    with Channels({}) as channels:
        app = create_app(WebSettings(), channels, start_token=START, owner="ann")
        yield TestClient(app, base_url=URL, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def callers(tmp_path: Path) -> Path:
    return tmp_path / "callers.yaml"


@pytest.fixture
def guarded(callers: Path, tmp_path: Path) -> Iterator[TestClient]:
    """Pages of a server that has every call of the product, and asks who calls."""
    add_caller(callers, "somebody", Role.READER)
    auth = {"tokens_file": str(callers)}
    with (
        guarded_server(tmp_path / "state", auth=auth) as server,
        Channels(dict.fromkeys(("controller", "oracle"), server.target)) as channels,
    ):
        app = create_app(WebSettings(auth=auth), channels)
        yield TestClient(app, base_url=URL, follow_redirects=False, raise_server_exceptions=False)


def test_a_page_leads_who_is_not_known_to_the_login_and_back(embedded: TestClient) -> None:
    answer = embedded.get("/runs")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fruns")
    answer = embedded.post("/login", data={"token": START, "next": "/runs"}, headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs")
    assert re.search("HttpOnly.*SameSite=lax", answer.headers["set-cookie"])


@pytest.mark.parametrize(
    "path", ["//elsewhere.test", "/\\elsewhere.test", "https://elsewhere.test", "elsewhere", "/a\nb"]
)
def test_a_login_leads_nowhere_else(embedded: TestClient, path: str) -> None:
    answer = embedded.post("/login", data={"token": START, "next": path}, headers=OURS)
    assert answer.headers["location"] == "/"


def test_the_address_that_is_printed_at_the_start_lets_in(embedded: TestClient) -> None:
    assert embedded.get("/login", params={"token": START}).status_code == 303
    assert embedded.get("/", follow_redirects=False).headers["location"] == "/runs"


@pytest.mark.parametrize("token", ["", "another", "ä", START + " "])
def test_another_token_lets_nobody_in(embedded: TestClient, token: str) -> None:
    answer = embedded.get("/login", params={"token": token}) if token else embedded.get("/runs")
    assert "set-cookie" not in answer.headers


def test_a_token_of_the_list_calls_the_services_with_its_own_rights(guarded: TestClient, callers: Path) -> None:
    reader, operator = add_caller(callers, "r", Role.READER), add_caller(callers, "o", Role.OPERATOR)
    assert guarded.post("/login", data={"token": reader}, headers=OURS).status_code == 303
    # The server has no such call behind its door, so that whoever is let in reads that there is none.
    assert guarded.get("/runs").status_code == 500
    assert guarded.get("/runs", headers={"authorization": f"Bearer {operator}"}).status_code == 500
    callers.write_text(re.sub("(?s)- name: r\n.*?(?=- name)", "", callers.read_text()))
    answer = guarded.get("/runs")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fruns")


def test_a_program_is_told_how_to_come_in(guarded: TestClient) -> None:
    answer = guarded.get("/api/nothing", headers={"authorization": "Bearer nobody"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "NOT_FOUND"


@pytest.mark.parametrize("origin", ["", "null", "http://elsewhere.test", "https://127.0.0.1:8080", URL + "0"])
def test_no_other_site_can_change_anything_with_the_cookie(embedded: TestClient, origin: str) -> None:
    embedded.get("/login", params={"token": START})
    for path in ("/logout", "/login"):
        assert embedded.post(path, headers={"origin": origin} if origin else {}).status_code == 403
    assert embedded.post("/logout", headers=OURS).status_code == 303


def test_a_cookie_that_was_changed_or_is_of_another_key_is_none(tmp_path: Path) -> None:
    sessions = Sessions(None)
    cookie = sessions.seal(Session("ann", ("reader",), "t", 2e9))
    assert sessions.open(cookie) == Session("ann", ("reader",), "t", 2e9)
    assert Sessions(None).open(cookie) is None
    assert sessions.open(cookie[:-8] + "AAAAAAA=") is None
    assert [sessions.open(text) for text in ("", "x", "ä", "gAAAAA==")] == [None] * 4


def test_a_session_ends_with_its_token() -> None:
    now = 1000.0
    sessions = Sessions(None, lambda: now)
    cookie = sessions.seal(Session("ann", (), "", 1001.0))
    assert sessions.open(cookie) is not None
    now = 1001.0
    assert sessions.open(cookie) is None


def test_a_key_can_be_replaced_while_people_are_logged_in(tmp_path: Path) -> None:
    file = tmp_path / "key"
    old, new = Fernet.generate_key(), Fernet.generate_key()
    file.write_bytes(old)
    cookie = Sessions(file).seal(Session("ann", (), "", 2e9))
    file.write_bytes(new + b"\n" + old)
    assert Sessions(file).open(cookie) is not None
    file.write_bytes(new)
    assert Sessions(file).open(cookie) is None
    file.write_text("no key")
    with pytest.raises(FailedPrecondition, match="key"):
        Sessions(file)


def test_a_token_that_no_cookie_holds_is_refused_with_a_remedy() -> None:
    with pytest.raises(FailedPrecondition, match="is_id_token_used"):
        Sessions(None).seal(Session("ann", (), "x" * 5000, 2e9))


def test_every_answer_forbids_scripts_of_others_frames_and_copies(embedded: TestClient) -> None:
    for path in ("/login", "/runs", "/nothing", "/static/style.css", "/api/nothing"):
        headers = embedded.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert embedded.get("/login").headers["cache-control"] == "no-store"


def test_pages_for_the_network_must_know_who_comes() -> None:
    with Channels({}) as channels:
        for settings, token in ((WebSettings(listen="0.0.0.0:80"), START), (WebSettings(), "")):
            with pytest.raises(FailedPrecondition, match=r"auth\.tokens_file"):
                create_app(settings, channels, start_token=token)


def test_by_https_the_cookie_goes_nowhere_else() -> None:
    settings = WebSettings(public_url="https://medq.test")
    with Channels({}) as channels:
        client = TestClient(create_app(settings, channels, start_token=START), base_url="https://medq.test")
        answer = client.get("/login", params={"token": START}, follow_redirects=False)
    assert re.match("__Host-medq=.*; Secure", answer.headers["set-cookie"])
    assert "max-age" in answer.headers["strict-transport-security"]


def test_who_asks_too_often_is_told_to_wait() -> None:
    with Channels({}) as channels:
        client = TestClient(create_app(WebSettings(calls_per_minute=60), channels, start_token=START), base_url=URL)
        assert [client.get("/login").status_code for _ in range(61)][-2:] == [200, 429]


def test_a_token_cannot_be_guessed_often(embedded: TestClient) -> None:
    answers = [embedded.post("/login", data={"token": "guess"}, headers=OURS).status_code for _ in range(21)]
    assert answers[-2:] == [401, 429]


def test_a_large_request_is_not_read(embedded: TestClient) -> None:
    assert embedded.post("/login", content=b"x" * 300_000, headers=OURS).status_code == 400
    assert embedded.post("/login", content=iter([b"x"]), headers=OURS).status_code == 400


def test_what_somebody_sent_is_escaped(embedded: TestClient) -> None:
    answer = embedded.get("/login", params={"next": "/<script>alert(1)</script>"})
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;" in answer.text
