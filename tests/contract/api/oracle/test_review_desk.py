"""What operators do at the queue: whose tasks are, which come sooner, which are opened again."""

from __future__ import annotations

import json
from typing import Any

import grpc
from typer.testing import CliRunner

from cli.main import app
from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from shared.errors import FailedPrecondition, InvalidArgument
from tests.support.oracle_house import House, begin, tasks
from tests.support.review_calls import begin_measured, decide, lease, refused, waiting_for_third


def assign(channel: grpc.Channel, **given: Any) -> int:
    request = pb.AssignTasksRequest(**{"run_id": "run", "reviewer": "bob", **given})
    return ReviewServiceStub(channel).AssignTasks(request).assigned


def prioritize(channel: grpc.Channel, **given: Any) -> int:
    return ReviewServiceStub(channel).PrioritizeTasks(pb.PrioritizeTasksRequest(**{"run_id": "run", **given})).moved


def test_assigned_tasks_are_one_reviewers_alone(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        waiting = tasks(channel)
        mine = [task.task_id for task in waiting[:3]]
        assert (assign(channel, task_ids=mine), assign(channel, task_ids=mine)) == (3, 0)
        assert assign(channel, run_id="other") == 0
        assert isinstance(refused(decide, channel, waiting[0]), FailedPrecondition)
        assert len(lease(channel, "ann")) == 5
        assert [task.task_id for task in lease(channel, "bob")] == mine
        assert assign(channel, reviewer="eve") == 0  # all are in somebody's hand
        assert {task.assignee for task in tasks(channel)} == {"bob", ""}
        for given in ({"run_id": ""}, {"task_ids": ["a", "a"]}, {"reviewer": "a\nb"}, {"task_ids": ["x"] * 1001}):
            assert isinstance(refused(assign, channel, **given), InvalidArgument)


def test_what_an_operator_puts_first_is_handed_out_first(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        last = tasks(channel)[-1].task_id
        assert (prioritize(channel, task_ids=[last], priority=0), prioritize(channel, task_ids=[last], priority=0)) == (
            1,
            0,
        )
        assert [(task.task_id, task.priority) for task in lease(channel, "ann", 1)] == [(last, 0)]
        assert prioritize(channel, priority=9) == 8
        assert isinstance(refused(prioritize, channel, priority=10), InvalidArgument)


def test_an_operator_may_have_one_of_the_two_decide_where_they_disagree(house: House) -> None:
    with house.server() as channel:
        begin_measured(house, channel, overlap_share=1.0)
        for task in lease(channel, "ann"):
            decide(channel, task)
        rejected = lease(channel, "bob")
        for task in rejected:
            decide(channel, task, action=pb.REVIEW_ACTION_REJECT, reason="No.", reviewer="bob")
        thirds = waiting_for_third(channel, len(rejected))  # they are queued in pieces
        for task in thirds:
            ReviewServiceStub(channel).ReleaseTask(pb.ReleaseTaskRequest(task_id=task.task_id, reviewer="eve"))
        assert lease(channel, "ann") == []
        assert assign(channel, reviewer="ann") == len(thirds)
        mine = lease(channel, "ann")
        assert {task.opinion for task in mine} == {3}
        assert decide(channel, mine[0]).is_new


def test_the_commands_of_operators(house: House) -> None:
    with house.server() as channel:
        house.neighbours.targets = {"oracle": house.settings.listen}
        begin(house, channel)
        task = tasks(channel)[0]
        decide(channel, task)

        def call(*arguments: str) -> Any:
            given = ["review", *arguments, "--out", str(house.folder / "out"), "--json"]
            ended = CliRunner().invoke(app, [*given, "--server", house.targets["controller"]], catch_exceptions=False)
            assert ended.exit_code == 0, ended.output
            return json.loads(ended.stdout)

        assert call("reopen", task.task_id, "--reason", "again") == {"task_id": task.task_id, "revision": 2}
        assert call("assign", "--run-id", "run", "--reviewer", "bob", "--task", task.task_id) == {"assigned": 1}
        assert call("prioritize", "--run-id", "run", "--priority", "4") == {"moved": 8}
        assert call("assign", "--run-id", "run", "--reviewer", "") == {"assigned": 1}
