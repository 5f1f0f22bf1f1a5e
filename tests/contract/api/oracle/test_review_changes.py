"""Decisions that are taken back, tasks that are given back or opened again, and the images that a task is compared with."""

from __future__ import annotations

import json
from typing import Any

import grpc
from typer.testing import CliRunner

from cli.main import app
from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from shared.objects.dataset import read_rows
from shared.rows.annotation import Decision
from shared.rpc.operations import await_operation, find
from tests.support.oracle_house import House, begin, tasks
from tests.support.review_calls import decide, refused


def undo(channel: grpc.Channel, task: pb.ReviewTask, **changes: Any) -> pb.UndoDecisionResponse:
    given = {"revision": task.revision, "reviewer": "ann", "seconds": 60, **changes}
    return ReviewServiceStub(channel).UndoDecision(pb.UndoDecisionRequest(task_id=task.task_id, **given))


def reopen(channel: grpc.Channel, task: pb.ReviewTask, **changes: Any) -> pb.ReopenTaskResponse:
    given = {"revision": task.revision, "reason": "a second look", **changes}
    return ReviewServiceStub(channel).ReopenTask(pb.ReopenTaskRequest(task_id=task.task_id, **given))


def release(channel: grpc.Channel, task: pb.ReviewTask, reviewer: str = "ann") -> pb.ReleaseTaskResponse:
    return ReviewServiceStub(channel).ReleaseTask(pb.ReleaseTaskRequest(task_id=task.task_id, reviewer=reviewer))


def lease(channel: grpc.Channel, reviewer: str = "ann", count: int = 1) -> pb.LeaseTasksResponse:
    request = pb.LeaseTasksRequest(reviewer=reviewer, count=count, seconds=60)
    return ReviewServiceStub(channel).LeaseTasks(request)


def test_a_decision_that_is_taken_back_is_made_again_and_both_times_are_paid(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        waiting = tasks(channel)
        assert not lease(channel).HasField("undoable")
        decide(channel, waiting[0], active_seconds=8.0)
        assert lease(channel).undoable.task_id == waiting[0].task_id
        first, again = undo(channel, waiting[0]), undo(channel, waiting[0])
        assert (first.is_new, again.is_new, first.task) == (True, False, again.task)
        assert (first.task.state, first.task.revision, first.task.reviewer) == (pb.TASK_STATE_OPEN, 2, "ann")
        assert not first.task.HasField("decision")
        assert find(channel, "op").progress.message == "waiting for reviews: 0 of 8"
        assert not lease(channel).HasField("undoable")
        decide(channel, first.task, action=pb.REVIEW_ACTION_REJECT, reason="Too dark.", active_seconds=5.0)
        for task in waiting[1:]:
            decide(channel, task)
        uri = await_operation(channel, "op").result_uri
        costs = [cost for cost in house.neighbours.settled if cost.kind == "expert"]
        assert all(task.is_locked for task in tasks(channel))
        assert isinstance(refused(undo, channel, tasks(channel)[1]), FailedPrecondition)
        assert isinstance(refused(reopen, channel, tasks(channel)[1]), FailedPrecondition)
    assert len(read_rows(house.objects, uri, Decision)) == 7
    seconds = {cost.key: cost.expert_seconds for cost in costs}
    assert sorted(seconds.values()) == [5.0, 8.0, *[20.0] * 7]
    assert house.neighbours.in_flight == set()


def test_nobody_takes_back_what_another_has_decided(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        task = tasks(channel)[0]
        assert isinstance(refused(undo, channel, task), FailedPrecondition)
        decide(channel, task)
        assert isinstance(refused(undo, channel, task, reviewer="bob"), FailedPrecondition)
        assert isinstance(refused(undo, channel, task, revision=2), FailedPrecondition)
        for changes in ({"revision": 0}, {"seconds": 0}, {"seconds": 86_401}, {"reviewer": ""}):
            assert isinstance(refused(undo, channel, task, **changes), InvalidArgument)
        assert tasks(channel)[0].state == pb.TASK_STATE_DECIDED


def test_an_operator_opens_a_task_again_for_everybody(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        task = tasks(channel)[0]
        assert isinstance(refused(reopen, channel, task), FailedPrecondition)
        decide(channel, task)
        assert refused(reopen, channel, task, reason="").field == "reason"
        first, again = reopen(channel, task), reopen(channel, task)
        assert (first.is_new, again.is_new) == (True, False)
        assert (first.task.state, first.task.revision, first.task.reviewer) == (pb.TASK_STATE_OPEN, 2, "")
        assert decide(channel, first.task, reviewer="bob").is_new


def test_what_a_reviewer_gives_back_comes_last_for_them_and_at_once_for_others(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        first = lease(channel).tasks[0]
        assert not release(channel, first, "bob").is_released
        assert release(channel, first).is_released
        assert not release(channel, first).is_released
        assert lease(channel).tasks[0].task_id != first.task_id
        assert lease(channel, "bob").tasks[0].task_id == first.task_id
        release(channel, first, "bob")
        assert lease(channel, count=8).tasks[-1].task_id == first.task_id


def test_only_the_images_of_a_task_are_given_for_it(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        task = tasks(channel)[0]
        call = ReviewServiceStub(channel).GetTaskImage
        assert isinstance(
            refused(list, call(pb.GetTaskImageRequest(task_id=task.task_id, image_uri=house.world.model_uri))), NotFound
        )
        pieces = call(pb.GetTaskImageRequest(task_id=task.task_id, image_uri=task.image_uri))
        assert b"".join(piece.chunk for piece in pieces) == house.objects.read_bytes(task.image_uri)


def test_the_command_says_whether_the_log_is_as_it_was_written(house: House) -> None:
    with house.server() as channel:
        house.neighbours.targets = {"oracle": house.settings.listen}
        begin(house, channel)
        decide(channel, tasks(channel)[0])
        whole = verified(house)
        assert (whole["is_whole"], whole["entries"], whole["fault"]) == (True, 1, "")
        decide(channel, tasks(channel)[1])
        assert verified(house, "--noted", whole["head"])["entries"] == 2
        other = verified(house, "--noted", f"1:{'0' * 64}", code=1)
        assert (other["is_whole"], other["fault"]) == (False, "Entry 1: it was noted with another hash.")
        request = pb.VerifyReviewLogRequest(noted_sequence=1)
        assert refused(ReviewServiceStub(channel).VerifyReviewLog, request).field == "noted_hash"


def verified(house: House, *arguments: str, code: int = 0) -> dict[str, Any]:
    given = ["audit", "verify", "--out", str(house.folder / "out"), "--server", house.targets["controller"], "--json"]
    ended = CliRunner().invoke(app, [*given, *arguments], catch_exceptions=False)
    assert ended.exit_code == code, ended.output
    return json.loads(ended.stdout)
