"""Coming in by the site's issuer: a real one on this machine, by https, and a server that takes its tokens."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient

from shared.rpc.channels import Channels
from shared.settings import AuthSection
from tests.support.certificates import Authority
from tests.support.guarded import guarded_server
from tests.support.issuer import CLIENT, Issuer, publishing
from web.app import create_app
from web.settings import LoginSection, WebSettings

URL = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def issuer(authority: Authority) -> Iterator[Issuer]:
    made = Issuer()
    made.new_key("first")
    with publishing(made, authority.issue("localhost")):
        yield made


@pytest.fixture
def browser(issuer: Issuer, authority: Authority, tmp_path: Path) -> Iterator[TestClient]:
    auth = AuthSection(oidc_issuer=issuer.url, issuer_ca_file=authority.ca_file)
    with (
        guarded_server(tmp_path / "state", auth=auth.model_dump()) as server,
        Channels(dict.fromkeys(("controller", "oracle"), server.target)) as channels,
    ):
        app = create_app(WebSettings(auth=auth, login=LoginSection(client_id=CLIENT)), channels)
        yield TestClient(app, base_url=URL, follow_redirects=False, raise_server_exceptions=False)


def at_issuer(browser: TestClient, authority: Authority, following: str = "/runs") -> str:
    """Go to the issuer, log in there, and return where it leads to."""
    there = browser.get("/login/oidc", params={"next": following}).headers["location"]
    asked = parse_qs(urlsplit(there).query)
    assert asked["scope"] == ["openid profile"]
    assert asked["redirect_uri"] == [f"{URL}/login/callback"]
    trusted = ssl.create_default_context(cafile=authority.ca_file)
    return httpx2.get(there, verify=trusted, trust_env=False).headers["location"]


def test_whoever_the_issuer_knows_comes_in_and_the_services_take_their_token(
    browser: TestClient, authority: Authority
) -> None:
    answer = browser.get(at_issuer(browser, authority))
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs")
    # Behind its door the server has no such call: who is let in reads that there is none.
    assert browser.get("/runs").status_code == 500


def test_whoever_has_no_role_comes_in_and_may_do_nothing(
    browser: TestClient, issuer: Issuer, authority: Authority
) -> None:
    issuer.person = {"sub": "visitor", "roles": []}
    browser.get(at_issuer(browser, authority))
    assert browser.get("/runs").status_code == 403


def test_whoever_the_issuer_refuses_stays_out(browser: TestClient, issuer: Issuer, authority: Authority) -> None:
    issuer.person = None
    assert browser.get(at_issuer(browser, authority)).status_code == 401
    assert browser.get("/runs").headers["location"].startswith("/login")


def test_a_code_is_good_once_and_for_the_browser_that_asked(browser: TestClient, authority: Authority) -> None:
    back = at_issuer(browser, authority)
    stranger = TestClient(browser.app, base_url=URL, follow_redirects=False)
    assert stranger.get(back).status_code == 401
    assert browser.get(back).status_code == 303
    assert browser.get(back).status_code == 401


def test_a_state_that_was_made_up_lets_nobody_in(browser: TestClient, authority: Authority) -> None:
    back = at_issuer(browser, authority)
    assert browser.get(back.replace("state=", "state=x")).status_code == 401


def test_a_login_leads_back_to_no_other_site(browser: TestClient, authority: Authority) -> None:
    back = at_issuer(browser, authority, "//elsewhere.test/")
    assert browser.get(back).headers["location"] == "/"


def test_a_login_ends_with_its_token(browser: TestClient, issuer: Issuer, authority: Authority) -> None:
    issuer.seconds = -60
    browser.get(at_issuer(browser, authority))
    assert browser.get("/runs").headers["location"].startswith("/login")


def test_an_issuer_that_is_away_is_told(browser: TestClient, issuer: Issuer) -> None:
    issuer.is_away = True
    assert browser.get("/login/oidc").status_code == 503
