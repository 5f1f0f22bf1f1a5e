"""Questions that two experts answer, each without the other, and what is adopted of it."""

from __future__ import annotations

from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from shared.errors import FailedPrecondition
from shared.objects.dataset import read_rows
from shared.rows.annotation import Decision, Unanswered
from shared.rpc.operations import await_operation
from tests.support.oracle_house import House
from tests.support.review_calls import begin_measured, decide, lease, refused, waiting_for_third


def other_option(task: pb.ReviewTask) -> str:
    return next(letter for letter in sorted(task.options) if letter != task.proposal)


def test_a_third_expert_sees_what_two_said_and_decides(house: House) -> None:
    with house.server() as channel:
        begin_measured(house, channel, overlap_share=1.0)
        ann, bob = lease(channel, "ann"), lease(channel, "bob")
        assert (len(ann), {task.opinion for task in ann}, {task.opinion for task in bob}) == (8, {1}, {2})
        assert {task.decision_id for task in ann} >= {task.decision_id for task in bob}
        assert isinstance(refused(decide, channel, bob[0], reviewer="ann"), FailedPrecondition)
        for task in ann:
            decide(channel, task)
        for task in bob[2:]:
            decide(channel, task, reviewer="bob")
        decide(channel, bob[0], action=pb.REVIEW_ACTION_EDIT, answer=other_option(bob[0]), reviewer="bob")
        decide(channel, bob[1], action=pb.REVIEW_ACTION_REJECT, reason="Too dark.", reviewer="bob")
        thirds = waiting_for_third(channel, 2)
        assert {task.decision_id for task in thirds} == {bob[0].decision_id, bob[1].decision_id}
        assert lease(channel, "ann") == lease(channel, "bob") == []
        for task in thirds:
            assert (task.opinion, len(task.opinions), {said.reviewer for said in task.opinions}) == (3, 2, {""})
            decide(channel, task, action=pb.REVIEW_ACTION_EDIT, answer=other_option(task), reviewer="eve")
        uri = await_operation(channel, "op").result_uri
        agreement = (
            ReviewServiceStub(channel).GetReviewStatistics(pb.GetReviewStatisticsRequest(run_id="run")).agreement
        )
    rows = {row.decision_id: row for row in read_rows(house.objects, uri, Decision)}
    assert len(rows) == 8
    assert [rows[task.decision_id].answer for task in thirds] == [other_option(task) for task in thirds]
    assert (agreement.n, agreement.n_same) == (len(bob), len(bob) - 2)
    assert [(pair.first, pair.second) for pair in agreement.pairs] == [("ann", "bob")]
    assert house.neighbours.in_flight == set()


def test_where_no_third_expert_decides_the_question_is_left_out(house: House) -> None:
    with house.server() as channel:
        begin_measured(house, channel, overlap_share=1.0)
        for task in lease(channel, "ann"):
            decide(channel, task)
        rejected = lease(channel, "bob")
        for task in rejected:
            decide(channel, task, action=pb.REVIEW_ACTION_REJECT, reason="No.", reviewer="bob")
        ReviewServiceStub(channel).CloseTasks(
            pb.CloseTasksRequest(run_id="run")
        )  # whether third tasks are there or not
        uri = await_operation(channel, "op").result_uri
    reasons = [row.reason for row in read_rows(house.objects, uri, Unanswered)]
    assert reasons == ["two experts disagree, and no third one has decided"] * len(rejected)
    assert rejected
    assert house.neighbours.in_flight == set()
