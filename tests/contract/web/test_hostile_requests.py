"""Requests of who means no good, against every route that changes something: a new one without a case here fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from shared.rpc.channels import Channels
from shared.rpc.rights import RIGHTS, Role
from tests.support.console_pages import OURS, URL, console_of
from tests.support.controller_house import get_run, start, until
from tests.support.guarded import add_caller, guarded_server
from tests.support.review_pages import review_house
from tests.support.servers import short_folder
from tests.support.web_routes import routes
from web.app import create_app
from web.sessions import Session, Sessions
from web.settings import WebSettings

HOSTILE = '"><script>alert(1)</script>'
#: Who is not known may come in and go out.
OPEN = {"/login", "/logout"}
_CONTROLLER, _OPERATIONS, _QUEUE = (
    "medq.controller.v1.ControllerService", "medq.operations.v1.OperationsService", "medq.oracle.v1.ReviewService"
)  # fmt: skip
_TASK = "0" * 32


@dataclass(frozen=True)
class Change:
    """A request that changes something, or costs work: whom it calls, and how it is sent."""

    service: str
    method: str
    sent: dict[str, Any]

    @property
    def roles(self) -> frozenset[Role]:
        """Who may."""
        return RIGHTS[self.service][self.method]


_RUN = {"run_id": "r1", "config_yaml": "name: n"}
_CONFIGURATION = {"config_yaml": "name: n"}
CHANGES = {
    "/start": Change(_CONTROLLER, "ValidateRun", {"data": _RUN}),
    "/runs": Change(_CONTROLLER, "StartRun", {"data": {**_RUN, "is_agreed": "yes"}}),
    "/runs/{run_id}/cancel": Change(_OPERATIONS, "CancelOperation", {}),
    "/runs/{run_id}/pause": Change(_CONTROLLER, "PauseRun", {}),
    "/runs/{run_id}/resume": Change(_CONTROLLER, "ResumeRun", {}),
    "/api/v1/validate": Change(_CONTROLLER, "ValidateRun", {"json": _CONFIGURATION}),
    "/api/v1/estimate": Change(_CONTROLLER, "EstimateRun", {"json": _CONFIGURATION}),
    "/api/v1/runs": Change(_CONTROLLER, "StartRun", {"json": _RUN}),
    "/api/v1/runs/{run_id}/cancel": Change(_OPERATIONS, "CancelOperation", {}),
    "/api/v1/runs/{run_id}/pause": Change(_CONTROLLER, "PauseRun", {}),
    "/api/v1/runs/{run_id}/resume": Change(_CONTROLLER, "ResumeRun", {}),
    "/api/review/lease": Change(_QUEUE, "LeaseTasks", {"json": {"count": 1}}),
    "/api/review/tasks/{task_id}/decide": Change(
        _QUEUE, "DecideTask", {"json": {"revision": 1, "action": "accept", "active_seconds": 1}}
    ),
    "/api/review/tasks/{task_id}/undo": Change(_QUEUE, "UndoDecision", {"json": {"revision": 1}}),
    "/api/review/tasks/{task_id}/release": Change(_QUEUE, "ReleaseTask", {"json": {}}),
}


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("callers") / "callers.yaml"


@pytest.fixture(scope="module")
def tokens(callers: Path) -> dict[Role, str]:
    return {role: add_caller(callers, f"the {role}", role) for role in Role}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key that seals sessions."""
    file = tmp_path_factory.mktemp("key") / "key"
    file.write_bytes(Fernet.generate_key())
    return file


@pytest.fixture(scope="module")
def app(
    callers: Path, tokens: dict[Role, str], key: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FastAPI]:
    """Pages on a server that has every call of the product and asks who calls; none of them does anything."""
    auth = {"tokens_file": str(callers)}
    with (
        guarded_server(tmp_path_factory.mktemp("state"), auth=auth) as server,
        Channels(dict.fromkeys(("controller", "oracle", "embedding"), server.target)) as channels,
    ):
        yield create_app(WebSettings(auth=auth, login={"key_file": str(key)}, calls_per_minute=100_000), channels)


def browser(app: FastAPI) -> TestClient:
    return TestClient(app, base_url=URL, follow_redirects=False, raise_server_exceptions=False)


def post(app: FastAPI, route: str, headers: dict[str, str], **changes: Any) -> Response:
    """Send a change as its form or its script does, but with these headers."""
    path = route.replace("{task_id}", _TASK).replace("{run_id}", "r1")
    return browser(app).post(path, headers=headers, **{**CHANGES[route].sent, **changes})


def is_unknown(answer: Response) -> bool:
    """Whether nobody was let in: a program is told, a person is led to the login."""
    leads_to = answer.headers.get("location", "").split("?")[0]
    return (answer.status_code, leads_to) in ((401, ""), (303, "/login")) and "set-cookie" not in answer.headers


def cookie_of(key: Path, token: str, end: float = 2e9) -> dict[str, str]:
    sealed = Sessions(key).seal(Session("the operator", ("operator",), token, end))
    return {**OURS, "cookie": f"medq={sealed}"}


def test_every_route_that_changes_something_has_a_case(app: FastAPI) -> None:
    found = {path for method, path in routes(app) if method not in ("GET", "HEAD", "OPTIONS")}
    assert found == CHANGES.keys() | OPEN, "give each new route its case in CHANGES"


@pytest.mark.parametrize("route", CHANGES)
def test_only_the_roles_of_its_call_get_through(app: FastAPI, tokens: dict[Role, str], key: Path, route: str) -> None:
    for role, token in tokens.items():
        for headers in ({"authorization": f"Bearer {token}"}, cookie_of(key, token)):
            is_refused = post(app, route, headers).status_code == 403
            assert is_refused is (role not in CHANGES[route].roles), role


@pytest.mark.parametrize("route", CHANGES)
def test_nobody_gets_through_without_a_token_that_holds(
    app: FastAPI, callers: Path, tokens: dict[Role, str], key: Path, route: str
) -> None:
    expired = add_caller(callers, f"was here {route}", Role.ADMIN, expires=date(2020, 1, 1))
    valid = tokens[Role.ADMIN]
    forged = Fernet(Fernet.generate_key()).encrypt(b'{"name":"a","roles":["admin"],"token":"","end":2e9}').decode()
    sealed = cookie_of(key, valid)["cookie"]
    cookies = (
        f"medq={forged}",
        f"medq={valid}",
        "medq=",
        sealed[:-8] + "AAAAAA==",
        sealed.replace("medq=", "session="),
    )
    refused = [
        OURS,
        {"authorization": f"Bearer {expired}"},
        {"authorization": f"Bearer {valid[:-1]}"},
        {"authorization": "Bearer "},
        {**OURS, "authorization": f"Basic {valid}"},
        cookie_of(key, expired),
        cookie_of(key, valid, end=1.0),
        *({**OURS, "cookie": cookie} for cookie in cookies),
    ]
    for headers in refused:
        assert is_unknown(post(app, route, headers)), headers


@pytest.mark.parametrize("route", CHANGES)
def test_no_other_site_changes_anything_with_a_cookie(
    app: FastAPI, tokens: dict[Role, str], key: Path, route: str
) -> None:
    cookie = {"cookie": cookie_of(key, tokens[Role.ADMIN])["cookie"]}
    foreign: list[dict[str, str]] = [
        {},
        {"origin": "null"},
        {"origin": "https://elsewhere.test"},
        {"origin": f"{URL}.elsewhere.test"},
        {"origin": URL.replace("http:", "https:")},
        {"referer": f"{URL}/runs"},
        {**OURS, "sec-fetch-site": "cross-site"},
        {**OURS, "sec-fetch-site": "same-site"},
        {"authorization": "Basic YTpi"},  # browsers send it of themselves, for an address with a name in it
    ]
    for headers in foreign:
        assert post(app, route, {**cookie, **headers}).status_code == 403, headers
    for site in ("same-origin", "none"):
        assert post(app, route, {**cookie, **OURS, "sec-fetch-site": site}).status_code != 403


@pytest.mark.parametrize("route", CHANGES)
def test_a_large_body_or_one_of_no_stated_size_is_not_read(app: FastAPI, tokens: dict[Role, str], route: str) -> None:
    headers = {"authorization": f"Bearer {tokens[Role.ADMIN]}", "content-type": "application/json"}
    for content in (b"[" * 300_000, iter([b"{}"])):
        answer = post(app, route, headers, content=content, data=None, json=None)
        assert (answer.status_code, "too large" in answer.text) == (400, True)


NAMES = (
    "..%2F..%2Fetc%2Fpasswd", "%2e%2e", "..%5C..%5Cx", "%00", "a%00b", "r1%0d%0aset-cookie:%20a=b", "%ff", "%F0%9F%92%A9",
    "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "a" * 5000, "%22%3E", "-", "r1;drop", "{{7*7}}", "%252e%252e%252f",
)  # fmt: skip
_OF_RUN = ("", "/figures", "/lineage", "/lineage?sample_id=%00", "/report.html")


def test_no_name_of_a_run_leads_anywhere_else(house: Any) -> None:
    with console_of(house) as (client, _):
        for name in NAMES:
            pages = [f"/runs/{name}{path}" for path in _OF_RUN]
            programs = [f"/api/v1/runs/{name}{path}" for path in ("", "/operation", "/step", "/report", "/report.json")]
            for path in pages + programs:
                answer = client.get(path, follow_redirects=False)
                is_without_its_slash = answer.status_code == 307 and answer.headers["location"].startswith(f"{URL}/")
                assert is_without_its_slash or 400 <= answer.status_code < 500, path
                assert "set-cookie" not in answer.headers
                assert "<script>alert" not in answer.text
            for change in ("cancel", "pause", "resume"):
                answer = client.post(f"/runs/{name}/{change}", headers=OURS, follow_redirects=False)
                assert 400 <= answer.status_code < 500, f"{name} {change}"
            assert "event: standing" not in client.get(f"/runs/{name}/events").text


def test_static_files_are_those_of_the_pages_alone(app: FastAPI) -> None:
    for path in ("../app.py", "..%2fapp.py", "%2e%2e/app.py", "/etc/passwd", "review/../../app.py", "style.css%00.js"):
        assert browser(app).get(f"/static/{path}").status_code == 404


def test_why_a_run_failed_is_a_text_on_its_page_in_its_stream_and_in_the_list(house: Any) -> None:
    house.services.failing["annotate"] = "FAILED_PRECONDITION"
    house.services.failing_message = f"{HOSTILE}\n\nevent: end\ndata: 1\n\n"
    with console_of(house) as (client, channel):
        start(channel, house, rounds=1)  # type: ignore[no-untyped-call]
        until(lambda: get_run(channel).state == "failed")  # type: ignore[no-untyped-call]
        page, stream = client.get("/runs/r1").text, client.get("/runs/r1/events").text
        for text in (page, stream, client.get("/runs").text, client.get("/runs/r1/lineage").text):
            assert HOSTILE not in text
        assert "&lt;script&gt;" in page
        assert "&lt;script&gt;" in stream
    assert re.findall("^event: (.*)$", stream, re.MULTILINE) == ["standing", "end"]


def test_nobody_takes_back_or_gives_back_what_is_somebody_elses() -> None:
    with short_folder() as folder, review_house(folder) as queue:
        queue.put_choices(2)
        ann, bob = (TestClient(queue.app(), base_url=queue.url, follow_redirects=False) for _ in range(2))
        for client, name in ((ann, "ann"), (bob, "bob")):
            client.headers["authorization"] = f"Bearer {queue.token(name)}"
        first, second = ann.post("/api/review/lease", json={"count": 2}).json()["tasks"]
        body = {"revision": 1, "action": "accept", "active_seconds": 1}
        assert ann.post(f"/api/review/tasks/{first['task_id']}/decide", json=body).status_code == 200
        undone = bob.post(f"/api/review/tasks/{first['task_id']}/undo", json={"revision": 1})
        assert undone.status_code in (400, 403)
        released = bob.post(f"/api/review/tasks/{second['task_id']}/release", json={})
        assert (released.status_code, released.json()["is_released"]) == (200, False)
        assert [(task.verdict is not None, task.reviewer) for task in queue.tasks()] == [(True, ""), (False, "ann")]
