"""The console: the runs, where one stands and follows it, starting and calling off."""

from __future__ import annotations

import json
import re

import httpx2
import pytest

from medq.controller.v1 import controller_pb2 as pb
from shared.errors import NotFound
from shared.rpc.operations import await_operation
from shared.rpc.rights import Role
from tests.support.console_pages import OURS, START, console_of, served
from tests.support.controller_house import controller_stub, error_of, get_run, start, until
from tests.support.guarded import add_caller
from tests.support.run_files import write_run_files
from web.console.live import Streams

HOSTILE = '"><script>alert(1)</script>'


def words(html):
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def events(client, run_id="r1"):
    """Name and data of each event of a stream that ends."""
    text = client.get(f"/runs/{run_id}/events").text
    return [(name, json.loads(data)) for name, data in re.findall("^event: (.*)\ndata: (.*)\n\n", text, re.MULTILINE)]


def test_the_list_tells_state_score_and_cost_of_each_run(house):
    with console_of(house) as (client, channel):
        start(channel, house, rounds=1)
        await_operation(channel, "r1")
        costs = [pb.Cost(key="a", kind="oracle", usd=12.5, tokens=9, is_simulated=True)]
        controller_stub(channel).ReserveCosts(pb.ReserveCostsRequest(run_id="r1", costs=costs))
        run = get_run(channel)
        told = words(client.get("/runs").text)
    assert (run.usd, run.expert_seconds, run.is_cost_simulated) == (12.5, 0, True)
    assert "done failure driven, round 1 Accuracy on test by round: failure driven from 25.0 % to 62.5 % 62.5 %" in told
    assert "$12.50 simulated" in told


def test_the_list_is_paged_newest_first(house):
    with console_of(house) as (client, channel):
        request = start(channel, house, rounds=0)
        for number in range(2, 28):
            request.run_id = f"r{number}"
            controller_stub(channel).StartRun(request)
        first = client.get("/runs").text
        following = re.search('href="(/runs[?]page_token=[^"]+)"', first)[1]
        found = [re.findall('href="/runs/(r[0-9]+)"', text) for text in (first, client.get(following).text)]
    assert [*found[0], *found[1]] == [f"r{number}" for number in range(27, 0, -1)]


def test_a_run_is_followed_to_its_end(house):
    house.services.hold("annotate")
    with console_of(house) as (client, channel):
        start(channel, house, rounds=1)
        until(lambda: get_run(channel).step == "annotate")
        told = client.get("/runs/r1").text
        assert 'data-follow="/runs/r1/events"' in told
        assert re.search('<li class="present" aria-current="step">\\s*<strong>annotate</strong>', told)
        assert told.count('<li class="done">') == 3
        house.services.release("annotate")
        found = events(client)
    assert [name for name, _ in found][-2:] == ["standing", "end"]
    assert "all rounds are done" in found[-2][1]


def test_no_page_hides_a_run_of_its_name(house):
    with console_of(house) as (client, channel):
        request = start(channel, house, rounds=0)
        request.run_id = "new"
        controller_stub(channel).StartRun(request)
        assert "<h1>new</h1>" in client.get("/runs/new").text


def test_a_run_that_waits_for_people_leads_to_the_review(house):
    house.services.leave_to_people("annotate")
    with console_of(house, waiting_seconds=0) as (client, channel):
        start(channel, house, rounds=1)
        until(lambda: get_run(channel).state == "waiting")
        told = client.get("/runs/r1").text
    assert "It waits for people." in told
    assert '<a href="/review">' in told


def test_a_stream_of_a_run_that_is_none_says_so_and_ends(house):
    with console_of(house) as (client, _):
        assert [name for name, _ in events(client, "nothing")] == ["gone"]
        assert client.get("/runs/nothing").status_code == 404


def test_no_proxy_holds_the_events_of_a_stream_back(house):
    with console_of(house) as (client, _):
        headers = client.get("/runs/nothing/events").headers
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["x-accel-buffering"] == "no"


def test_a_run_is_called_off_from_these_pages_alone(house):
    house.services.hold("annotate")
    with console_of(house) as (client, channel):
        start(channel, house, rounds=1)
        until(lambda: get_run(channel).step == "annotate")
        assert client.post("/runs/r1/cancel").status_code == 403
        answer = client.post("/runs/r1/cancel", headers=OURS, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/runs/r1")
        until(lambda: get_run(channel).state == "cancelled")
        assert "called off" in words(client.get("/runs/r1").text)


def test_what_is_wrong_with_a_configuration_is_told_and_nothing_starts(house):
    with console_of(house) as (client, channel):
        form = {"run_id": HOSTILE, "config_yaml": f"name: '{HOSTILE}'\n{HOSTILE}: 1"}
        answer = client.post("/start", data=form, headers=OURS)
        assert "It cannot run." in answer.text
        assert "<script>alert" not in answer.text
        assert isinstance(error_of(controller_stub(channel).GetRun, pb.GetRunRequest(run_id="r1")), NotFound)


def test_a_run_starts_after_its_costs_were_shown(house):
    with console_of(house) as (client, channel):
        form = {"config_yaml": write_run_files(house.files, rounds=0), "base_folder": str(house.files), "run_id": "r1"}
        told = client.post("/start", data=form, headers=OURS).text
        assert "What it may cost" in told
        assert client.post("/runs", data=form, headers=OURS).status_code == 400
        answer = client.post("/runs", data={**form, "is_agreed": "yes"}, headers=OURS, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/runs/r1")
        await_operation(channel, "r1")


@pytest.mark.parametrize("role", [Role.READER, Role.OPERATOR])
def test_buttons_that_change_something_are_shown_to_operators(house, role):
    callers = house.folder / "callers.yaml"
    token, auth = add_caller(callers, "somebody", role), {"tokens_file": str(callers)}
    with console_of(house, auth=auth) as (client, _):
        client.post("/login", data={"token": token}, headers=OURS, follow_redirects=False)
        assert ("Start a run" in client.get("/runs").text) == (role is Role.OPERATOR)
        form = {"run_id": "r1", "config_yaml": "name: n", "is_agreed": "yes"}
        status = client.post("/runs", data=form, headers=OURS).status_code
        assert status == (403 if role is Role.READER else 400)


def test_a_run_shows_its_curves_costs_weakness_and_why_it_stopped(house):
    with console_of(house) as (client, channel):
        start(channel, house, rounds=1, stop={"max_usd": 50.0})
        await_operation(channel, "r1")
        stub = controller_stub(channel)
        costs = [
            pb.Cost(key="r1/failure_driven/0/oracle/a/1", kind="oracle", usd=12.5),
            pb.Cost(key="r1/failure_driven/1/oracle/b/1", kind="oracle", usd=7.5, is_simulated=True),
        ]
        stub.ReserveCosts(pb.ReserveCostsRequest(run_id="r1", costs=costs))
        stub.SettleCosts(pb.SettleCostsRequest(run_id="r1", costs=costs[:1]))
        page = client.get("/runs/r1").text
        told, alone = words(page), client.get("/runs/r1/figures").text
    assert alone.strip() in page
    assert "It has stopped: all rounds are done." in told
    assert "It has used 40 % of its $50.00." in told
    assert "dollars in all simulated in part $12.50 $7.50 $50.00" in told
    assert 'aria-label="Accuracy on test against dollars spent on answers, with 95 % intervals"' in page
    assert "failure driven 0 0 $0.00" in told
    assert "failure driven 1 3 $12.50" in told
    assert "Where it was weak, and where it is now" in told
    assert "Who answered Round 0" in told


def test_a_run_without_a_report_says_that_nothing_is_measured(house):
    house.services.hold("ingest_pool")
    with console_of(house) as (client, channel):
        start(channel, house, rounds=0)
        assert "Nothing is measured yet." in client.get("/runs/r1").text


def test_the_report_of_a_run_that_has_ended_is_a_file_to_keep(house):
    house.services.hold("annotate")
    with console_of(house) as (client, channel):
        start(channel, house, rounds=1)
        until(lambda: get_run(channel).step == "annotate")
        assert client.get("/runs/r1/report.html").status_code == 404
        house.services.release("annotate")
        await_operation(channel, "r1")
        told, answer = client.get("/runs/r1/lineage").text, client.get("/runs/r1/report.html")
    assert answer.headers["content-disposition"] == 'attachment; filename="r1-report.html"'
    assert answer.text.startswith("<!doctype html>")
    assert "comes out" in told


def test_a_stream_ends_when_the_browser_goes(house):
    house.services.hold("annotate")
    with served(house) as (url, channel, app):
        start(channel, house, rounds=1)
        until(lambda: get_run(channel).step == "annotate")
        streams = app.state.streams
        with httpx2.Client(base_url=url, trust_env=False, timeout=60) as browser:
            browser.get("/login", params={"token": START})
            with browser.stream("GET", "/runs/r1/events") as answer:
                lines = answer.iter_lines()  # held: when it is dropped, the connection is closed
                assert next(lines) == "event: standing"
                assert streams.n_open == 1
            until(lambda: streams.n_open == 0)


def test_no_more_pages_follow_runs_than_a_process_can_bear(house):
    with console_of(house) as (client, _):
        client.app.state.streams = Streams(most=0)
        assert client.get("/runs/r1/events").status_code == 429
