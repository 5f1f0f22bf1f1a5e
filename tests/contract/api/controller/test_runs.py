"""Runs that end, and what the controller tells of them before and after."""

from __future__ import annotations

import json

import jsonschema

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.events_pb2 import RoundCompleted
from shared.errors import NotFound
from shared.events.bus import topic_of
from shared.events.sqlite import SqliteEventBus
from shared.rpc.operations import await_operation
from tests.support.controller_house import DOCS, controller_stub, download, error_of, get_run, report, start, until
from tests.support.events import each


def test_a_run_of_two_arms_ends_with_a_report_that_its_answers_bear_out(house):
    with house.controller() as channel:
        start(channel, house, arms=["failure_driven", "random"])
        await_operation(channel, "r1")
        told = report(channel)
        files = download(channel)
    jsonschema.validate(told, json.loads((DOCS / "report.schema.json").read_text()))
    assert told["is_complete"]
    assert [arm["stop_reason"] for arm in told["arms"].values()] == ["rounds", "rounds"]
    assert [facts["round"] for facts in told["arms"]["random"]["rounds"]] == [0, 1, 2]
    assert files["report.json"].decode() == json.dumps(told, sort_keys=True, indent=2) + "\n"
    assert files["report.html"].startswith(b"<!doctype html>")
    answers = [json.loads(line) for line in files["answers.jsonl"].splitlines()]
    for name, arm in told["arms"].items():
        for facts in arm["rounds"]:
            for split in ("dev", "test"):
                place = (name, facts["round"], split)
                right = [
                    row["correct"] is True
                    for row in answers
                    if (row["arm"], row["round"], row["split"]) == place and row["evaluated"]
                ]
                overall = facts[split]["perception"]["overall"]
                assert (overall["n"], overall["value"]) == (len(right), sum(right) / len(right))


def test_the_report_of_a_run_that_has_ended_is_read_and_not_made_again(house):
    with house.controller() as channel:
        start(channel, house)
        await_operation(channel, "r1")
        published = download(channel)["report.json"]
        datasets = {step["uri"] for step in json.loads(published)["measured"]["steps"]} - {""}
        for uri in datasets:  # nothing stays that it could be made from
            (path,) = (house.folder / "objects").rglob(uri.removeprefix("sha256:"))
            path.unlink()
        assert controller_stub(channel).GetReport(pb.GetReportRequest(run_id="r1")).report_json.encode() == published


def test_a_run_at_work_shows_where_it_stands(house):
    house.services.hold("select_samples")
    with house.controller() as channel:
        start(channel, house)
        run = until(lambda: (found := get_run(channel)).step == "select_samples" and found)
        assert (run.state, run.arm, run.round, run.service) == ("running", "failure_driven", 0, "retrieval")
        assert run.operation_id == "r1/failure_driven/0/select_samples"
        scores = {(score.split, score.round): score for score in run.scores}
        assert scores.keys() == {("dev", 0), ("test", 0)}
        assert scores["test", 0].value == 0.25
        partial = report(channel)
        assert partial["arms"]["failure_driven"]["rounds"][0]["failures"]["n_failures"] == 1
        assert not partial["is_complete"]
        assert controller_stub(channel).GetReport(pb.GetReportRequest(run_id="r1")).report_uri == ""
        house.services.release("select_samples")
        await_operation(channel, "r1")
        assert [run.run_id for run in controller_stub(channel).ListRuns(pb.ListRunsRequest()).runs] == ["r1"]
        assert get_run(channel).message == "failure_driven: rounds"


def test_each_round_that_ends_is_published_once(house):
    seen = []
    with house.controller() as channel:
        start(channel, house, rounds=1)
        await_operation(channel, "r1")
        bus = SqliteEventBus(house.folder / "events.sqlite")
        bus.subscribe("test", {topic_of(RoundCompleted): each(seen.append)})
        until(lambda: len(seen) == 2)
        bus.close()
    rounds = [RoundCompleted.FromString(event.data) for event in seen]
    assert [(told.arm, told.round, told.is_last) for told in rounds] == [
        ("failure_driven", 0, False),
        ("failure_driven", 1, True),
    ]
    assert rounds[0].model_uri == rounds[1].model_uri
    assert [(event.key, event.sequence) for event in seen] == [("r1", 1), ("r1", 2)]


def test_what_is_not_there_is_not_found(house):
    with house.controller() as channel:
        stub = controller_stub(channel)
        for call, request in (
            (stub.GetRun, pb.GetRunRequest(run_id="no")),
            (stub.GetReport, pb.GetReportRequest(run_id="no")),
        ):
            assert isinstance(error_of(call, request), NotFound)


def test_a_client_of_the_controller_finds_the_other_services(house):
    with house.controller() as channel:
        targets = controller_stub(channel).GetEndpoints(pb.GetEndpointsRequest()).targets
    assert dict(targets) == {**house.targets, "controller": f"unix:{house.folder}/c.sock"}
