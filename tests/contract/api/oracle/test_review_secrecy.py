"""What of a task must not be known to whoever is still to answer its question, by whichever way they look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.review_files import record_of
from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from services.oracle.domain.opinions import with_second_opinions
from services.oracle.domain.review import QueueEntry
from shared.rpc.rights import Role
from tests.support.review_pages import OPTIONS, ReviewHouse, review_house
from tests.support.reviews import queue_entry
from tests.support.servers import short_folder

SECRET = ("proposal", "self_answer", "self_entropy", "reference_answer", "agreement")
DECIDED = ("action", "answer", "reviewer")


@pytest.fixture
def house() -> Iterator[ReviewHouse]:
    with short_folder() as folder, review_house(folder) as house:
        yield house


def entry() -> QueueEntry:
    return queue_entry(is_blind=True, options=OPTIONS, proposal="B", reference_answer="B", self_answer="C")


def known(stub: ReviewServiceStub, names: tuple[str, ...]) -> set[str]:
    """What of these ListTasks and GetTask tell about any task, as `medq review export` writes it."""
    tasks = list(stub.ListTasks(pb.ListTasksRequest()).tasks)
    tasks += [stub.GetTask(pb.GetTaskRequest(task_id=task.task_id)).task for task in tasks]
    records = [record_of(task, "") for task in tasks]
    return {name for record in records for name in names if record[name] is not None}


def decide(stub: ReviewServiceStub, task: pb.ReviewTask) -> pb.ReviewTask:
    request = pb.DecideTaskRequest(
        task_id=task.task_id, revision=task.revision, action=pb.REVIEW_ACTION_EDIT, answer="D"
    )
    return stub.DecideTask(request).task


def lease(stub: ReviewServiceStub) -> pb.LeaseTasksResponse:
    return stub.LeaseTasks(pb.LeaseTasksRequest(count=5, seconds=60))


@pytest.mark.parametrize("role", [Role.READER, Role.REVIEWER, Role.OPERATOR, Role.ADMIN])
def test_an_open_blind_task_tells_nobody_what_is_proposed(house: ReviewHouse, role: Role) -> None:
    house.put([entry()])
    stub = house.stub("ann", role)
    assert known(stub, SECRET) == set()
    if role != Role.READER:
        task = lease(stub).tasks[0]
        assert all(record_of(task, "")[name] is None for name in SECRET)
        assert record_of(decide(stub, task), "")["proposal"] == "B"
        assert known(stub, SECRET) == set(SECRET)


@pytest.mark.parametrize("role", [Role.READER, Role.REVIEWER])
def test_the_second_expert_learns_nothing_of_the_first_until_both_have_decided(house: ReviewHouse, role: Role) -> None:
    house.put(with_second_opinions([entry()], 1.0, seed=0))
    ann, bob, other = house.stub("ann"), house.stub("bob"), house.stub("other", role)
    decide(ann, lease(ann).tasks[0])
    second = lease(bob).tasks[0]
    for stub in (bob, other):
        assert known(stub, (*SECRET, *DECIDED)) == set()
    assert known(ann, (*SECRET, *DECIDED)) == {*SECRET, *DECIDED}
    assert lease(ann).undoable.proposal == "B"
    olga = house.stub("olga", Role.OPERATOR)
    assert (known(olga, SECRET), known(olga, DECIDED)) == (set(), set(DECIDED))
    assert decide(bob, second).proposal == "B"
    assert known(other, (*SECRET, *DECIDED)) == {*SECRET, *DECIDED}


def test_what_is_closed_or_open_again_is_as_blind_as_before(house: ReviewHouse) -> None:
    house.put([entry()])
    ann, olga = house.stub("ann"), house.stub("olga", Role.OPERATOR)
    olga.CloseTasks(pb.CloseTasksRequest(run_id="run"))
    assert known(ann, SECRET) == set()
    task = olga.ListTasks(pb.ListTasksRequest()).tasks[0]
    olga.ReopenTask(pb.ReopenTaskRequest(task_id=task.task_id, revision=1, reason="Too early."))
    decided = decide(ann, lease(ann).tasks[0])
    assert decided.proposal == "B"
    request = pb.UndoDecisionRequest(task_id=decided.task_id, revision=decided.revision, seconds=60)
    assert not ann.UndoDecision(request).task.HasField("proposal")
    assert known(ann, SECRET) == set()


def test_who_decides_again_knows_the_proposal_and_is_not_counted_as_blind(house: ReviewHouse) -> None:
    house.put([entry()])
    ann = house.stub("ann")
    statistics = pb.GetReviewStatisticsRequest(run_id="run")
    decided = decide(ann, lease(ann).tasks[0])
    assert [one.tally.blind for one in ann.GetReviewStatistics(statistics).reviewers] == [1]
    ann.UndoDecision(pb.UndoDecisionRequest(task_id=decided.task_id, revision=1, seconds=60))
    decide(ann, lease(ann).tasks[0])
    found = ann.GetReviewStatistics(statistics).reviewers
    assert [(one.tally.n, one.tally.blind) for one in found] == [(1, 0)]
