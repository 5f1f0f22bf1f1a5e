"""Blind questions, planted errors and known answers, as reviewers meet them and as a run counts them."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from cli.main import app
from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from shared.errors import InvalidArgument
from shared.objects.dataset import read_rows
from shared.rows.annotation import Decision, Unanswered
from shared.rows.benchmark import Item
from shared.rpc.operations import await_operation
from tests.support.oracle_house import House, tasks
from tests.support.review_calls import begin_measured, decide, lease, refused

EDIT = pb.REVIEW_ACTION_EDIT


def tally(channel, reviewer: str = "ann") -> pb.ReviewTally:
    found = ReviewServiceStub(channel).GetReviewStatistics(pb.GetReviewStatisticsRequest(run_id="run"))
    return next(one.tally for one in found.reviewers if one.reviewer == reviewer)


def test_a_planted_error_that_is_accepted_becomes_no_decision(house: House) -> None:
    with house.server() as channel:
        begin_measured(house, channel, planted_share=1.0)
        waiting = lease(channel, "ann")
        planted = [task for task in waiting if task.proposal not in truth(house, task)]
        assert planted
        for task in waiting:
            decide(channel, task)
        uri = await_operation(channel, "op").result_uri
        found = tally(channel)
        shown_later = {task.task_id: task.proposal for task in tasks(channel)}
    reasons = [row.reason for row in read_rows(house.objects, uri, Unanswered)]
    assert reasons == ["the expert accepted an error that was planted to see whether they look"] * len(planted)
    assert len(read_rows(house.objects, uri, Decision)) == 8 - len(planted)
    assert (found.planted, found.planted_accepted, found.n) == (len(planted), len(planted), 8 - len(planted))
    assert all(shown_later[task.task_id] == task.proposal for task in planted)
    assert house.neighbours.in_flight == set()


def test_a_planted_error_that_is_corrected_counts_as_the_proposal_accepted(house: House) -> None:
    with house.server() as channel:
        begin_measured(house, channel, planted_share=1.0)
        for task in lease(channel, "ann"):
            right = truth(house, task)[0]
            if task.proposal == right:
                decide(channel, task)
            else:
                decide(channel, task, action=EDIT, answer=right)
        uri = await_operation(channel, "op").result_uri
    rows = read_rows(house.objects, uri, Decision)
    assert len(rows) == 8
    assert {row.expert_action for row in rows} == {"accept"}
    assert all(row.answer == row.reference_answer for row in rows)


def test_a_blind_question_is_answered_and_not_accepted(house: House) -> None:
    with house.server() as channel:
        begin_measured(house, channel, blind_share=1.0)
        waiting = lease(channel, "ann")
        blind = [task for task in waiting if task.is_blind]
        assert blind
        for task in blind:
            assert not task.HasField("proposal")
            assert not task.reference_annotation.HasField("answer")
            assert not task.self_annotation.HasField("answer")
            assert not task.HasField("agreement")
        assert isinstance(refused(decide, channel, blind[0]), InvalidArgument)
        for task in waiting:
            changes = {"action": EDIT, "answer": truth(house, task)[0]} if task.is_blind else {}
            after = decide(channel, task, **changes).task
            assert after.HasField("proposal")
        uri = await_operation(channel, "op").result_uri
        found = tally(channel)
    assert {row.expert_action for row in read_rows(house.objects, uri, Decision)} == {"accept"}
    assert (found.blind, found.blind_same) == (len(blind), len(blind))


def test_each_reviewer_answers_known_questions_first_and_their_time_is_paid(house: House) -> None:
    with house.server() as channel:
        begin_measured(house, channel, calibration_tasks=2)
        ann, bob = lease(channel, "ann", 4), lease(channel, "bob")
        known = [task for task in ann if task.route == "calibration"]
        assert [task.route for task in ann[:2]] == ["calibration"] * 2
        assert [task.question for task in bob[:2]] == [task.question for task in known]
        assert (len(ann), len(bob), lease(channel, "eve")) == (4, 8, [])  # whoever gets no task is not calibrated
        answers = {item.question: item.answer for item in read_rows(house.objects, house.world.dev_uri, Item)}
        decide(channel, known[0], action=EDIT, answer=answers[known[0].question], active_seconds=3.0)
        for task in known[1:]:
            decide(channel, task, action=pb.REVIEW_ACTION_REJECT, reason="Unclear.", active_seconds=3.0)
        assert not [task for task in lease(channel, "ann") if task.route == "calibration"]
        for task in ann[2:]:
            decide(channel, task)
        for task in bob[2:]:
            decide(channel, task, reviewer="bob")
        uri = await_operation(channel, "op").result_uri
        found = tally(channel)
        seconds = sum(cost.expert_seconds for cost in house.neighbours.settled if "/calibration/" in cost.key)
    assert len(read_rows(house.objects, uri, Decision)) == 8
    assert (found.calibration, found.calibration_right, found.n) == (2, 1, 2)
    assert seconds == 6.0


def truth(house: House, task: pb.ReviewTask) -> list[str]:
    return [house.world.truth(task.image_id, task.question)]


def test_the_command_shows_how_reviewers_decide(house: House) -> None:
    with house.server() as channel:
        house.neighbours.targets = {"oracle": house.settings.listen}
        begin_measured(house, channel, overlap_share=1.0)
        for reviewer in ("ann", "bob"):
            for task in lease(channel, reviewer):
                decide(channel, task, reviewer=reviewer)
        given = ["review", "stats", "--run-id", "run", "--out", str(house.folder / "out")]
        shown = CliRunner().invoke(app, [*given, "--server", house.targets["controller"], "--json"])
        table = CliRunner().invoke(app, [*given, "--server", house.targets["controller"]])
    found = json.loads(shown.stdout)
    assert [one["reviewer"] for one in found["reviewers"]] == ["ann", "bob"]
    assert found["reviewers"][0]["tally"]["accepted"] == 8
    assert found["agreement"]["n_same"] == found["agreement"]["n"] > 0
    assert "Krippendorff's alpha" in table.output
