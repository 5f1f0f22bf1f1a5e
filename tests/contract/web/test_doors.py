"""No page and no call is open to who is not logged in, and no address lets in but that of a start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from shared.rpc.channels import Channels
from shared.rpc.rights import Role
from shared.settings import AuthSection
from tests.support.guarded import add_caller
from tests.support.web_routes import routes
from web.app import create_app
from web.settings import WebSettings

URL = "http://127.0.0.1:8080"
OURS = {"origin": URL}
#: Who is not known may come in, go out, and ask whether pages are served and how the API is called.
OPEN = {"/login", "/login/oidc", "/login/callback", "/logout", "/healthz", "/api/openapi.json"}


@pytest.fixture
def callers(tmp_path: Path) -> Path:
    return tmp_path / "callers.yaml"


@pytest.fixture
def app(callers: Path) -> Iterator[FastAPI]:
    """Pages of a site that knows its callers by token."""
    add_caller(callers, "somebody", Role.READER)
    with Channels({}) as channels:
        yield create_app(WebSettings(auth=AuthSection(tokens_file=callers)), channels)


@pytest.fixture
def browser(app: FastAPI) -> TestClient:
    return TestClient(app, base_url=URL, follow_redirects=False, raise_server_exceptions=False)


def test_every_page_and_every_call_asks_who_comes(app: FastAPI, browser: TestClient) -> None:
    seen = set(routes(app)) - {(method, path) for path in OPEN for method in ("GET", "HEAD", "POST")}
    assert {"/", "/runs", "/review"} <= {path for _, path in seen}
    for method, path in seen:
        answer = browser.request(method, re.sub(r"{\w+(:\w+)?}", "x", path), headers=OURS)
        told = (answer.status_code, answer.headers.get("location", "").split("?")[0])
        assert told in ((401, ""), (303, "/login")), f"{method} {path}"
        assert "set-cookie" not in answer.headers


def test_a_token_in_an_address_lets_nobody_in_but_into_the_pages_of_a_start(browser: TestClient, callers: Path) -> None:
    token = add_caller(callers, "ada", Role.READER)
    answer = browser.get("/login", params={"token": token})
    assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)
    assert browser.post("/login", data={"token": token}, headers=OURS).status_code == 303


def test_the_token_of_a_start_cannot_be_guessed_often_in_an_address() -> None:
    with Channels({}) as channels:
        app = create_app(WebSettings(), channels, start_token="t")
        browser = TestClient(app, base_url=URL, follow_redirects=False)
        assert [browser.get("/login?token=guess").status_code for _ in range(21)][-2:] == [401, 429]
        assert browser.get("/login").status_code == 200
