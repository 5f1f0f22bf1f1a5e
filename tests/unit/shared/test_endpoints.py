"""The file of the site's endpoints."""

from __future__ import annotations

import os
from datetime import date

import pytest

from services.controller.settings import ControllerSettings
from services.evaluation.settings import EvaluationSettings
from services.oracle.settings import OracleSettings
from shared.chat.endpoints import RESERVED, read_endpoints, read_key, require_endpoint
from shared.errors import FailedPrecondition, NotFound, PermissionDenied
from shared.settings import environment_of

WHOLE = """
gpt-4o:
  base_url: https://api.example.org/v1/
  model: gpt-4o-2024-08-06
  key_file: keys/gpt-4o
  usd_per_million: {in: 2.5, out: 10}
  prices_of: 2026-11-01
  timeout_seconds: 60
  max_in_flight: 4
  may_receive: images
local:
  base_url: http://127.0.0.1:8000/v1
  model: qwen
  usd_per_million: {in: 0, out: 0}
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        file = tmp_path / "endpoints.yaml"
        file.write_text(text) if isinstance(text, str) else file.write_bytes(text)
        return read_endpoints(file)

    return read


def one(**changes):
    """The text of a file of one endpoint with these lines changed; None leaves one out."""
    lines = {
        "base_url": "https://api.example.org/v1",
        "model": "m",
        "usd_per_million": "{in: 1, out: 2}",
        "prices_of": "2026-11-01",
        **changes,
    }
    return "one:\n" + "".join(f"  {key}: {value}\n" for key, value in lines.items() if value is not None)


def test_a_file_gives_its_endpoints_by_name(read, tmp_path):
    endpoints = read(WHOLE)
    gpt, local = endpoints["gpt-4o"], endpoints["local"]
    assert gpt.base_url == "https://api.example.org/v1"
    assert gpt.key_file == tmp_path / "keys" / "gpt-4o"
    assert (gpt.usd_per_million.into, gpt.usd_per_million.out, gpt.prices_of) == (2.5, 10, date(2026, 11, 1))
    assert (gpt.timeout_seconds, gpt.max_in_flight, gpt.may_receive) == (60, 4, "images")
    assert (gpt.host, gpt.is_loopback, local.is_loopback) == ("api.example.org", False, True)


def test_nothing_may_be_sent_until_somebody_says_so_also_on_this_machine(read):
    local = read(WHOLE)["local"]
    assert [local.covers(what) for what in ("nothing", "text", "images")] == [True, False, False]


def test_images_hold_text_and_text_holds_no_images(read):
    endpoint = read(one(may_receive="text"))["one"]
    assert [endpoint.covers(what) for what in ("nothing", "text", "images")] == [True, True, False]


def test_no_file_is_no_endpoint():
    assert read_endpoints(None) == {}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"base_url": None}, "one.base_url"),
        ({"model": None}, "one.model"),
        ({"model": '""'}, "one.model"),
        ({"usd_per_million": None}, "one.usd_per_million"),
        ({"usd_per_million": "{in: 1}"}, "one.usd_per_million.out"),
        ({"usd_per_million": "{in: -1, out: 1}"}, "one.usd_per_million.in"),
        ({"usd_per_million": "{in: .nan, out: 1}"}, "one.usd_per_million.in"),
        ({"usd_per_million": "{in: .inf, out: 1}"}, "one.usd_per_million.in"),
        ({"prices_of": None}, "prices_of is missing"),
        ({"prices_of": "soon"}, "one.prices_of"),
        ({"timeout_seconds": 0}, "one.timeout_seconds"),
        ({"max_in_flight": 0}, "one.max_in_flight"),
        ({"max_in_flight": 1.5}, "one.max_in_flight"),
        ({"may_receive": "everything"}, "one.may_receive"),
        ({"api_key": "sk-secret"}, "unknown key"),
        ({"sk-secret": "x"}, "unknown key"),
        ({"base_url": "ftp://api.example.org"}, "one.base_url"),
        ({"base_url": "https://"}, "one.base_url"),
        ({"base_url": "https://user:sk-secret@api.example.org"}, "one.base_url"),
        ({"base_url": "'https://api.example.org/v1?key=sk-secret'"}, "one.base_url"),
        ({"base_url": "'https://api.example.org/v1#sk-secret'"}, "one.base_url"),
        ({"base_url": "https://api.example.org:sk-secret/v1"}, "one.base_url"),
        ({"base_url": "'https://[sk-secret/v1'"}, "one.base_url"),
        ({"base_url": "'https://api.exämple.org/sk-secret'"}, "one.base_url"),
        ({"base_url": '"https://api.example.org/\\tsk-secret"'}, "one.base_url"),
        ({"base_url": "http://api.example.org/sk-secret"}, "use https"),
    ],
)
def test_what_is_not_of_the_form_is_named_and_not_quoted(read, changes, place):
    with pytest.raises(FailedPrecondition) as caught:
        read(one(**changes))
    assert place in caught.value.message
    assert "secret" not in str(caught.value)
    assert (caught.value.field, caught.value.remedy != "") == ("MEDQ_ENDPOINTS", True)


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe",
        "sk-secret",
        "- sk-secret",
        "one: sk-secret",
        "one: &a {base_url: *a}",
        "sk secret: {}",
        "? [sk-secret]\n: {}",
        "a: {}\na: {}",
        "{" * 100,
        "a: !!python/object:os.system {}",
        "x" * 300_000,
    ],
)
def test_no_text_of_a_broken_file_is_quoted(read, text):
    with pytest.raises(FailedPrecondition) as caught:
        read(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_words_that_mean_something_else_name_no_endpoint(read, name):
    with pytest.raises(FailedPrecondition, match="may be called"):
        read(one().replace("one:", f"{name}:"))


def test_plain_http_to_another_machine_is_a_decision(read):
    assert not read(one(base_url="http://vllm:8000/v1", is_plaintext_allowed="true"))["one"].is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000", "127.8.9.1"])
def test_plain_http_is_for_this_machine(read, host):
    assert read(one(base_url=f"'http://{host}/v1'"))["one"].is_loopback


@pytest.mark.parametrize("what", ["missing", "folder", "pipe", "large"])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, what):
    path = tmp_path / "endpoints.yaml"
    if what == "folder":
        path.mkdir()
    if what == "pipe":
        os.mkfifo(path)
    if what == "large":
        path.write_bytes(b"#" * 2**20)
    with pytest.raises(FailedPrecondition):
        read_endpoints(path)
    with pytest.raises(FailedPrecondition):
        read_key(path)


def test_a_mounted_secret_is_a_link_and_is_read(tmp_path):
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "key").write_text("abc\n")
    (tmp_path / "key").symlink_to("..data/key")
    assert read_key(tmp_path / "key") == "abc"


@pytest.mark.parametrize("text", ["", " \n", "two words", "two\nlines", "ключ", "\0"])
def test_a_key_file_holds_one_key_and_nothing_else(tmp_path, text):
    (tmp_path / "key").write_text(text)
    with pytest.raises(FailedPrecondition) as caught:
        read_key(tmp_path / "key")
    assert caught.value.field == "key_file"


def test_an_endpoint_that_is_missing_is_named_with_those_that_are_there(read):
    with pytest.raises(NotFound) as caught:
        require_endpoint("gpt-5", read(WHOLE), "text", "annotate.oracle")
    assert (caught.value.field, caught.value.value) == ("annotate.oracle", "gpt-5")
    assert "gpt-4o, local" in caught.value.remedy
    assert "MEDQ_ENDPOINTS" in caught.value.remedy


def test_an_endpoint_that_may_not_receive_it_is_denied_with_the_way_to_allow_it(read):
    with pytest.raises(PermissionDenied, match="may receive nothing") as caught:
        require_endpoint("local", read(WHOLE), "images", "annotate.oracle")
    assert "may_receive: images" in caught.value.remedy


@pytest.mark.parametrize("settings", [ControllerSettings, EvaluationSettings, OracleSettings])
def test_one_variable_names_the_file_for_all_services_and_each_may_have_its_own(monkeypatch, tmp_path, settings):
    assert settings().endpoints is None
    monkeypatch.setenv("MEDQ_ENDPOINTS", "/site/endpoints.yaml")
    assert str(settings().endpoints) == "/site/endpoints.yaml"
    for name, value in environment_of(settings, endpoints=tmp_path / "own.yaml").items():
        monkeypatch.setenv(name, value)
    assert settings().endpoints == tmp_path / "own.yaml"
    assert settings(endpoints=tmp_path / "given.yaml").endpoints == tmp_path / "given.yaml"
