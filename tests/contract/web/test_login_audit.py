"""Every login is a line of the audit log: who, how, whether, why not; a token is in no line of any log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from shared.rpc.channels import Channels
from shared.rpc.rights import Role
from shared.settings import AuthSection
from tests.support.certificates import Authority
from tests.support.guarded import add_caller, audit_lines, audited
from tests.support.issuer import CLIENT, Issuer, publishing
from web.app import create_app
from web.settings import LoginSection, WebSettings

URL = "http://127.0.0.1:8080"
OURS = {"origin": URL}
GUESS = "medq-guess-of-a-stranger"


def browser_of(settings: WebSettings, channels: Channels, start_token: str = "") -> TestClient:
    """A browser that follows nothing by itself."""
    app = create_app(settings, channels, start_token=start_token, owner="ann")
    return TestClient(app, base_url=URL, follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def channels() -> Iterator[Channels]:
    """To no service."""
    with Channels({}) as found:
        yield found


def shown(line: dict[str, object]) -> dict[str, object]:
    """An audit line without when it was written and from where."""
    return {key: value for key, value in line.items() if key not in ("timestamp", "level", "peer", "audit", "service")}


def test_a_login_and_a_logout_by_token_are_audited_and_the_token_is_in_no_line(
    channels: Channels, tmp_path: Path
) -> None:
    callers = tmp_path / "callers.yaml"
    token = add_caller(callers, "dr-ada", Role.REVIEWER)
    with audited("DEBUG") as log:
        browser = browser_of(WebSettings(auth=AuthSection(tokens_file=callers)), channels)
        assert browser.post("/login", data={"token": GUESS}, headers=OURS).status_code == 401
        assert browser.post("/login", data={"token": token}, headers=OURS).status_code == 303
        assert browser.post("/logout", headers=OURS).status_code == 303
        assert browser.get("/runs", headers={"authorization": f"Bearer {GUESS}"}).status_code == 303
        lines = audit_lines(log)
    refused, came, went = map(shown, lines)
    assert refused.pop("why")
    assert refused == {"event": "login", "caller": "", "decision": "denied", "reason": "UNAUTHENTICATED"}
    assert came == {"event": "login", "caller": "dr-ada", "known_by": "token", "decision": "allowed"}
    assert went == {"event": "logout", "caller": "dr-ada", "known_by": "cookie"}
    assert all((line["service"], line["peer"]) == ("web", "testclient") for line in lines)
    for secret in (token, GUESS):
        assert secret not in log.getvalue()


def test_the_token_of_a_start_is_in_no_line(channels: Channels) -> None:
    with audited("DEBUG") as log:
        browser = browser_of(WebSettings(), channels, "the-token-of-this-start")
        assert browser.get("/login", params={"token": "the-token-of-this-start"}).status_code == 303
        (line,) = audit_lines(log)
    assert (line["caller"], line["known_by"], line["decision"]) == ("ann", "start", "allowed")
    assert "the-token-of-this-start" not in log.getvalue()


@contextmanager
def at_issuer(channels: Channels, folder: Path, **person: object) -> Iterator[tuple[TestClient, str, StringIO]]:
    """A browser, where the issuer sends it back to, and what is logged meanwhile."""
    authority, issuer = Authority(folder), Issuer()
    issuer.new_key("first")
    issuer.person = {"sub": "dr-ada", "roles": ["reviewer"], **person}
    with publishing(issuer, authority.issue("localhost")), audited("DEBUG") as log:
        auth = AuthSection(oidc_issuer=issuer.url, issuer_ca_file=authority.ca_file)
        browser = browser_of(WebSettings(auth=auth, login=LoginSection(client_id=CLIENT)), channels)
        there = browser.get("/login/oidc").headers["location"]
        yield browser, issuer.authorize(there.partition("?")[2]), log


def test_a_login_by_the_issuer_is_audited_and_neither_code_nor_token_is_in_any_line(
    channels: Channels, tmp_path: Path
) -> None:
    with at_issuer(channels, tmp_path) as (browser, back, log):
        assert browser.get(back).status_code == 303
        assert browser.get(back).status_code == 401  # a second time
        came, replayed = map(shown, audit_lines(log))
        assert came == {"event": "login", "caller": "dr-ada", "known_by": "jwt", "decision": "allowed"}
        assert (replayed["caller"], replayed["decision"], replayed["reason"]) == ("", "denied", "UNAUTHENTICATED")
        assert back.partition("code=")[2].partition("&")[0] not in log.getvalue()
        assert "eyJ" not in log.getvalue()  # as every JWT begins


def test_who_is_known_and_gets_no_cookie_was_denied(channels: Channels, tmp_path: Path) -> None:
    with at_issuer(channels, tmp_path, groups="x" * 5000) as (browser, back, log):
        answer = browser.get(back)
        assert (answer.status_code, answer.headers.get("set-cookie", "").startswith("medq=")) == (400, False)
        (line,) = map(shown, audit_lines(log))
        assert (line["caller"], line["decision"], line["reason"]) == ("dr-ada", "denied", "FAILED_PRECONDITION")
        assert "eyJ" not in log.getvalue()
