"""The queue of the experts on a real oracle server: annotation waits for people, and goes on when they have decided."""

from __future__ import annotations

from typing import Any

import pytest

from medq.operations.v1 import operations_pb2, operations_pb2_grpc
from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.oracle_pb2_grpc import OracleServiceStub
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from shared.errors import AlreadyExists, Cancelled, FailedPrecondition, InvalidArgument, NotFound
from shared.objects.dataset import read_rows
from shared.rows.annotation import Decision, Unanswered
from shared.rpc.operations import await_operation, find
from tests.support.oracle_house import WAITING, House, begin, tasks, until_waiting
from tests.support.review_calls import decide, refused


def test_annotation_waits_for_people_and_adopts_what_they_decide(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        waiting = tasks(channel, state=pb.TASK_STATE_OPEN)
        assert len(waiting) == 8
        assert {task.expert for task in waiting} == {"review"}
        assert all(task.proposal == task.reference_annotation.answer for task in waiting)
        assert find(channel, "op").progress.message == "waiting for reviews: 0 of 8"
        edited = next(task for task in waiting if task.proposal == "A")
        decide(channel, edited, action=pb.REVIEW_ACTION_EDIT, answer="B", active_seconds=7.5)
        decide(channel, waiting[-1], action=pb.REVIEW_ACTION_REJECT, reason="There is no patient.")
        assert find(channel, "op").progress.message == "waiting for reviews: 2 of 8"
        for task in tasks(channel, state=pb.TASK_STATE_OPEN):
            decide(channel, task)
        uri = await_operation(channel, "op").result_uri
        costs = {cost.key: cost for cost in house.neighbours.settled if cost.kind == "expert"}
    rows = {row.decision_id: row for row in read_rows(house.objects, uri, Decision)}
    assert (rows[edited.decision_id].answer, rows[edited.decision_id].expert_action) == ("B", "edit")
    assert waiting[-1].decision_id not in rows
    assert {row.expert_action for row in rows.values()} == {"accept", "edit"}
    assert [row.reason for row in read_rows(house.objects, uri, Unanswered)] == ["the expert rejected it"]
    assert sorted(cost.expert_seconds for cost in costs.values()) == [7.5, *[20.0] * 7]
    assert not any(cost.is_simulated for cost in costs.values())
    assert house.neighbours.in_flight == set()


def test_waiting_outlives_the_process_and_a_decision_wakes_the_next_one(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        waiting = tasks(channel)
        decide(channel, waiting[0])
    with house.server() as channel:
        assert find(channel, "op").state == WAITING
        assert len(tasks(channel, state=pb.TASK_STATE_OPEN)) == 7
        for task in waiting:
            decide(channel, task)  # the first one again
        assert await_operation(channel, "op").result_uri


def test_a_decision_repeated_is_answered_as_before_and_another_one_is_refused(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        task = tasks(channel)[0]
        first = decide(channel, task)
        again = decide(channel, task)
        assert (first.is_new, again.is_new) == (True, False)
        assert first.task == again.task
        error = refused(decide, channel, task, active_seconds=21.0)
        assert isinstance(error, AlreadyExists)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"action": pb.REVIEW_ACTION_UNSPECIFIED}, "action"),
        ({"action": pb.REVIEW_ACTION_EDIT, "answer": "Z"}, "answer"),
        ({"action": pb.REVIEW_ACTION_EDIT}, "answer"),
        ({"action": pb.REVIEW_ACTION_ACCEPT, "answer": "C"}, "answer"),
        ({"action": pb.REVIEW_ACTION_REJECT}, "reason"),
        ({"action": pb.REVIEW_ACTION_REJECT, "reason": "No.", "answer": "A"}, "answer"),
        ({"reason": "x" * 2001}, "reason"),
        ({"active_seconds": -1.0}, "active_seconds"),
        ({"active_seconds": float("nan")}, "active_seconds"),
        ({"active_seconds": 90_000.0}, "active_seconds"),
        ({"reviewer": ""}, "reviewer"),
        ({"reviewer": "a\nb"}, "reviewer"),
        ({"revision": 0}, "revision"),
    ],
)
def test_a_wrong_decision_is_refused_with_its_field(house: House, changes: dict[str, Any], field: str) -> None:
    with house.server() as channel:
        begin(house, channel)
        task = tasks(channel)[0]
        error = refused(decide, channel, task, **changes)
        assert (type(error), error.field) == (InvalidArgument, field)
        assert tasks(channel)[0] == task


def test_an_operation_that_is_called_off_takes_its_tasks_and_its_reservations_back(house: House) -> None:
    with house.server() as channel:
        request = begin(house, channel)
        first, *others = tasks(channel)
        decide(channel, first)
        operations_pb2_grpc.OperationsServiceStub(channel).CancelOperation(
            operations_pb2.CancelOperationRequest(operation_id="op")
        )
        with pytest.raises(Cancelled):
            await_operation(channel, "op")
        counts = ReviewServiceStub(channel).CountTasks(pb.CountTasksRequest(run_id="run"))
        assert (counts.open, counts.decided, counts.withdrawn) == (0, 1, 7)
        assert len(house.neighbours.released) == 7
        assert isinstance(refused(decide, channel, others[0]), FailedPrecondition)
        request.operation_id = "op/2"
        OracleServiceStub(channel).StartAnnotate(request)
        until_waiting(channel, "op/2")
        again = tasks(channel, state=pb.TASK_STATE_OPEN)
        assert {task.task_id for task in again} == {task.task_id for task in others}
        for task in again:
            decide(channel, task)
        uri = await_operation(channel, "op/2").result_uri
        assert len(read_rows(house.objects, uri, Decision)) == 8
        assert house.neighbours.in_flight == set()


def test_what_is_closed_is_left_out_and_counted(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        for task in tasks(channel)[:3]:
            decide(channel, task)
        closed = ReviewServiceStub(channel).CloseTasks(pb.CloseTasksRequest(run_id="run")).closed
        again = ReviewServiceStub(channel).CloseTasks(pb.CloseTasksRequest(run_id="run")).closed
        uri = await_operation(channel, "op").result_uri
    assert (closed, again) == (5, 0)
    assert len(read_rows(house.objects, uri, Decision)) == 3
    reasons = [row.reason for row in read_rows(house.objects, uri, Unanswered)]
    assert reasons == ["the review was closed before an expert saw it"] * 5
    assert house.neighbours.in_flight == set()


def test_where_the_budget_ends_the_queued_are_decided_and_the_rest_is_left_out(house: House) -> None:
    with house.server() as channel:
        house.neighbours.limit = 4 + 6  # the oracle's calls, and two chunks of reviews
        begin(house, channel)
        waiting = tasks(channel)
        assert len(waiting) == 6
        for task in waiting:
            decide(channel, task)
        uri = await_operation(channel, "op").result_uri
    assert len(read_rows(house.objects, uri, Decision)) == 6
    assert [row.reason for row in read_rows(house.objects, uri, Unanswered)] == ["The budget is spent."] * 2


def test_what_was_taken_back_and_is_no_longer_covered_is_left_out(house: House) -> None:
    with house.server() as channel:
        request = begin(house, channel)
        operations_pb2_grpc.OperationsServiceStub(channel).CancelOperation(
            operations_pb2.CancelOperationRequest(operation_id="op")
        )
        with pytest.raises(Cancelled):
            await_operation(channel, "op")
        house.neighbours.limit = 0
        request.operation_id = "op/2"
        OracleServiceStub(channel).StartAnnotate(request)
        uri = await_operation(channel, "op/2").result_uri
    assert [row.reason for row in read_rows(house.objects, uri, Unanswered)] == ["The budget is spent."] * 8


def test_reviewers_share_the_tasks_out_by_leases(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        stub = ReviewServiceStub(channel)
        ann = stub.LeaseTasks(pb.LeaseTasksRequest(reviewer="ann", count=5, seconds=60)).tasks
        again = stub.LeaseTasks(pb.LeaseTasksRequest(reviewer="ann", count=5, seconds=60)).tasks
        assert [task.task_id for task in again] == [task.task_id for task in ann]
        bob = stub.LeaseTasks(pb.LeaseTasksRequest(reviewer="bob", count=5, seconds=60)).tasks
        assert (len(ann), len(bob)) == (5, 3)
        assert not {task.task_id for task in ann} & {task.task_id for task in bob}
        assert {task.reviewer for task in ann} == {"ann"}
        assert isinstance(refused(decide, channel, ann[0], reviewer="bob"), FailedPrecondition)
        decide(channel, ann[0])
        assert stub.CountTasks(pb.CountTasksRequest()).leased == 7
        for changes in ({"count": 0}, {"count": 101}, {"seconds": 0}, {"seconds": 86_401}, {"reviewer": ""}):
            request = pb.LeaseTasksRequest(**{"reviewer": "eve", "count": 1, "seconds": 60, **changes})
            assert isinstance(refused(stub.LeaseTasks, request), InvalidArgument)


def test_the_picture_of_a_task_is_the_stored_one(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        task = tasks(channel)[0]
        pieces = ReviewServiceStub(channel).GetTaskImage(pb.GetTaskImageRequest(task_id=task.task_id))
        assert b"".join(piece.chunk for piece in pieces) == b"".join(house.objects.chunks(task.image_uri))
        call = ReviewServiceStub(channel).GetTaskImage(pb.GetTaskImageRequest(task_id="no such"))
        assert isinstance(refused(list, call), NotFound)


def test_pages_of_tasks_hold_each_once(house: House) -> None:
    with house.server() as channel:
        begin(house, channel)
        stub, seen, token = ReviewServiceStub(channel), [], ""
        while True:
            page = stub.ListTasks(pb.ListTasksRequest(run_id="run", page_size=3, page_token=token))
            seen += [task.task_id for task in page.tasks]
            token = page.next_page_token
            if not token:
                break
        assert len(seen) == len(set(seen)) == 8
        assert stub.GetTask(pb.GetTaskRequest(task_id=seen[0])).task == tasks(channel)[0]
        assert tasks(channel, run_id="another") == []


def test_nobody_decides_for_the_simulated_expert(house: House) -> None:
    with house.server() as channel:
        house.annotate(channel, house.request(house.known_answers(channel)))
        task = tasks(channel)[0]
        assert (task.expert, task.decision.reviewer) == ("simulated", "simulated")
        assert isinstance(refused(decide, channel, task), FailedPrecondition)
