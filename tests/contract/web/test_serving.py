"""The pages as they are served: a probe without a login, and https with the certificate of the settings."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from shared.errors import FailedPrecondition
from shared.rpc.channels import Channels
from shared.settings import TlsSection
from tests.support.certificates import Authority
from web.app import create_app
from web.server import WebServer, address_of, bind, bind_as_before
from web.settings import WebSettings


def test_a_probe_needs_no_login_and_no_service() -> None:
    with Channels({}) as channels:
        answer = TestClient(create_app(WebSettings(), channels, start_token="t")).get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")


def test_with_a_certificate_the_pages_speak_https_and_nothing_else(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    tls = TlsSection(certificate_file=certificate, key_file=key)
    bound = bind("127.0.0.1:0")
    settings = WebSettings(listen=address_of(bound), tls=tls)
    assert settings.url.startswith("https://")
    with Channels({}) as channels, WebServer(create_app(settings, channels, start_token="t"), bound, tls):
        trusted = ssl.create_default_context(cafile=authority.ca_file)
        with httpx2.Client(verify=trusted, trust_env=False) as client:
            assert client.get(f"{settings.url}/healthz").text == "ok"
            with pytest.raises(httpx2.TransportError):
                client.get(settings.url.replace("https:", "http:") + "/healthz")


def test_a_certificate_that_is_none_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "tls.crt").write_text("no certificate")
    tls = TlsSection(certificate_file=tmp_path / "tls.crt", key_file=tmp_path / "tls.crt")
    with Channels({}) as channels, bind("127.0.0.1:0") as bound:
        app = create_app(WebSettings(), channels, start_token="t")
        with pytest.raises(FailedPrecondition, match="certificate"):
            WebServer(app, bound, tls)


@pytest.mark.parametrize(
    ("trusted", "seen"), [((), "127.0.0.1"), (("127.0.0.0/8",), "198.51.100.7"), (("::1",), "127.0.0.1")]
)
def test_the_address_that_a_proxy_names_counts_where_the_proxy_is_trusted(trusted: tuple[str, ...], seen: str) -> None:
    settings, app, bound = WebSettings(trusted_proxies=trusted), FastAPI(), bind("127.0.0.1:0")

    @app.get("/who")
    def who(request: Request) -> str:
        assert request.client is not None
        return request.client.host

    with WebServer(app, bound, trusted_proxies=[*map(str, settings.trusted_proxies)]), httpx2.Client() as client:
        told = client.get(f"http://{address_of(bound)}/who", headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})
    assert told.json() == seen


def test_pages_on_any_port_come_back_to_the_one_that_they_had(tmp_path: Path) -> None:
    note = tmp_path / "pages.port"
    with bind_as_before("127.0.0.1:0", note) as first:
        address = address_of(first)
        with bind_as_before("127.0.0.1:0", note) as beside:  # it is taken meanwhile
            assert address_of(beside) != address
    with bind_as_before("127.0.0.1:0", note) as again:
        assert address_of(again) == address
    for text in ("no port", "99999", "", "é"):
        note.write_text(text)
        with bind_as_before("127.0.0.1:0", note) as free:
            assert address_of(free).startswith("127.0.0.1:")
