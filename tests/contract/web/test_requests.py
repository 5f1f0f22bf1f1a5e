"""Each request is counted by its route and its status, and what nobody foresaw is answered as any other error is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY

from shared.rpc.channels import Channels
from tests.support.guarded import audited
from web.app import create_app
from web.settings import WebSettings

URL = "http://127.0.0.1:8080"


@pytest.fixture
def browser() -> Iterator[TestClient]:
    """Pages with two routes more."""
    with Channels({}) as channels:
        app = create_app(WebSettings(), channels, start_token="t")

        @app.get("/images/{name}")
        def image(name: str) -> str:
            return name

        @app.get("/broken")
        def broken() -> None:
            raise ZeroDivisionError("a text that quotes what was read")

        yield TestClient(app, base_url=URL, follow_redirects=False)


def counted(route: str, code: int) -> float:
    """Requests so far."""
    return REGISTRY.get_sample_value("medq_web_requests_total", {"route": route, "code": str(code)}) or 0.0


@pytest.mark.parametrize(
    ("path", "route", "code"),
    [
        ("/login", "/login", 200),
        ("/runs", "/runs", 303),
        ("/images/of-a-patient", "/images/{name}", 200),
        ("/of-a-patient", "none", 404),
        ("/static/style.css", "none", 200),
    ],
)
def test_a_request_is_counted_by_its_route_and_no_name_is_in_a_label(
    browser: TestClient, path: str, route: str, code: int
) -> None:
    before = counted(route, code)
    assert browser.get(path).status_code == code
    assert counted(route, code) == before + 1


def test_what_is_refused_before_any_route_is_counted_too(browser: TestClient) -> None:
    before = counted("none", 403)
    assert browser.post("/login", headers={"origin": "http://elsewhere.test"}).status_code == 403
    assert counted("none", 403) == before + 1


def test_an_error_that_nobody_foresaw_quotes_nothing_and_has_the_headers_of_every_answer(browser: TestClient) -> None:
    before = counted("/broken", 500)
    with audited("ERROR") as log:
        answer = browser.get("/broken")
        assert '"event": "internal"' in log.getvalue()
        assert "quotes" not in log.getvalue()
    assert answer.status_code == 500
    assert "quotes" not in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert counted("/broken", 500) == before + 1
