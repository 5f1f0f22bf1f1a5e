"""A run is paused and goes on: from its page and by the REST API, by operators alone, and whoever follows it sees it."""

from __future__ import annotations

import json
import re

import httpx2
import pytest

from medq.controller.v1 import controller_pb2 as pb
from shared.rpc.as_json import to_json
from shared.rpc.operations import await_operation
from shared.rpc.rights import Role
from tests.support.console_pages import OURS, START, console_of, served
from tests.support.controller_house import controller_stub, get_run, start, until
from tests.support.guarded import add_caller
from tests.support.run_files import write_run_files


def words(html):
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def begin(channel, house, step="annotate"):
    """Start a run and leave it at a step."""
    house.services.hold(step)
    start(channel, house, rounds=1)
    until(lambda: get_run(channel).operation_id.endswith(step))


def until_paused(channel):
    until(lambda: get_run(channel).state == "paused")


def test_a_run_is_paused_from_its_page_and_goes_on(house):
    with console_of(house) as (client, channel):
        begin(channel, house)
        page = client.get("/runs/r1").text
        assert 'action="/runs/r1/pause"' in page
        assert "/runs/r1/resume" not in page
        assert client.post("/runs/r1/pause").status_code == 403  # not from these pages
        answer = client.post("/runs/r1/pause", headers=OURS, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/runs/r1")
        page = client.get("/runs/r1").text
        assert "annotating, pauses after this step" in words(page)
        assert "It pauses after this step:" in words(page)
        assert 'action="/runs/r1/resume"' in page
        assert "/runs/r1/pause" not in page
        house.services.release("annotate")
        until_paused(channel)
        page = client.get("/runs/r1").text
        assert "It is paused." in words(page)
        assert 'data-follow="/runs/r1/events"' in page
        assert 'aria-current="step"' not in page
        assert page.count('<li class="done">') == 4
        assert "paused" in words(client.get("/runs").text)
        answer = client.post("/runs/r1/resume", headers=OURS, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/runs/r1")
        await_operation(channel, "r1")
        page = client.get("/runs/r1").text
        assert "/pause" not in page
        assert "/resume" not in page
        refused = client.post("/runs/r1/pause", headers=OURS)
        assert refused.status_code == 400
        assert "The run has ended" in refused.text


@pytest.mark.parametrize("action", ["pause", "resume"])
@pytest.mark.parametrize(("role", "statuses"), [(Role.READER, (403, 403)), (Role.OPERATOR, (200, 303))])
def test_operators_alone_pause_and_resume(house, role, statuses, action):
    callers = house.folder / "callers.yaml"
    operator, token = add_caller(callers, "o", Role.OPERATOR), add_caller(callers, "somebody", role)
    house.services.hold("ingest_pool")
    with console_of(house, auth={"tokens_file": str(callers)}) as (client, _):
        config = {"config_yaml": write_run_files(house.files, rounds=0), "base_folder": str(house.files)}
        bearer = {"authorization": f"Bearer {operator}"}
        assert client.post("/api/v1/runs", json={"run_id": "r1", **config}, headers=bearer).status_code == 200
        bearer = {"authorization": f"Bearer {token}"}
        by_api = client.post(f"/api/v1/runs/r1/{action}", headers=bearer)
        client.post("/login", data={"token": token}, headers=OURS, follow_redirects=False)
        by_page = client.post(f"/runs/r1/{action}", headers=OURS, follow_redirects=False)
        assert (by_api.status_code, by_page.status_code) == statuses
        assert ('action="/runs/r1/' in client.get("/runs/r1").text) == (role is Role.OPERATOR)


def test_the_api_answers_what_the_stub_answers(house):
    with console_of(house) as (client, channel):
        begin(channel, house)
        stub = controller_stub(channel)
        paused = client.post("/api/v1/runs/r1/pause", headers=OURS).json()
        assert paused == to_json(stub.PauseRun(pb.PauseRunRequest(run_id="r1")))
        assert (paused["run"]["state"], paused["run"]["is_pause_asked"]) == ("running", True)
        house.services.release("annotate")
        until_paused(channel)
        assert client.get("/api/v1/runs/r1").json()["run"]["state"] == "paused"
        resumed = client.post("/api/v1/runs/r1/resume", headers=OURS).json()
        assert not resumed["run"]["is_pause_asked"]
        await_operation(channel, "r1")
        ended = client.post("/api/v1/runs/r1/resume", headers=OURS).json()
        assert ended == to_json(stub.ResumeRun(pb.ResumeRunRequest(run_id="r1")))
        refused = client.post("/api/v1/runs/r1/pause", headers=OURS)
        assert (refused.status_code, refused.json()["title"]) == (400, "FAILED_PRECONDITION")


def test_a_stream_lasts_over_a_pause_and_ends_with_the_run(house):
    with served(house) as (url, channel, _):
        begin(channel, house)
        controller_stub(channel).PauseRun(pb.PauseRunRequest(run_id="r1"))
        house.services.release("annotate")
        until_paused(channel)
        with httpx2.Client(base_url=url, trust_env=False, timeout=60) as browser:
            browser.get("/login", params={"token": START})
            with browser.stream("GET", "/runs/r1/events") as answer:
                lines = answer.iter_lines()
                assert next(lines) == "event: standing"
                assert "It is paused." in json.loads(next(lines).removeprefix("data: "))
                assert [next(lines), next(lines)] == ["", ": still"]
                controller_stub(channel).ResumeRun(pb.ResumeRunRequest(run_id="r1"))
                rest = list(lines)
        assert get_run(channel).state == "succeeded"
    assert rest[-3:] == ["event: end", 'data: ""', ""]
