"""Operations that wait for people."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from medq.training.v1.training_pb2 import StartImportModelRequest, StartTrainRequest
from shared.errors import Cancelled
from shared.operation_context import OperationContext
from shared.operation_table import CANCELLED, SUCCEEDED, WAITING
from shared.operations import Operations
from shared.parked import Parked
from tests.support.operation_part import Part, named, until_terminal


class Reviews:
    """Work that waits for people: how often it began, and how many have decided."""

    def __init__(self) -> None:
        self.begun, self.decided = 0, 0

    def work(self, context: OperationContext, request: StartImportModelRequest) -> str:
        self.begun += 1
        context.check_cancelled()
        if self.decided < 2:
            message = f"waiting for reviews: {self.decided} of 2"
            raise Parked(self.decided, 2, "reviews", message, seconds=3600, is_due=lambda: self.decided >= 2)
        return "sha256:done"


def _until_waiting(operations: Operations, operation_id: str) -> Any:
    seen = 0
    for _ in range(100):
        found = operations.wait(operation_id, seen, 5.0, lambda: True)
        if found.state == WAITING:
            return found
        seen = found.revision
    raise AssertionError("the operation does not wait")


def test_what_waits_for_people_holds_no_worker_and_goes_on_when_it_is_woken(part: Part) -> None:
    reviews = Reviews()
    operations = part.operations(reviews.work, n_workers=1)
    operations.start(named("a"))
    assert _until_waiting(operations, "a").message == "waiting for reviews: 0 of 2"
    assert operations.backlog()[0] == 0
    operations.start(StartTrainRequest(operation_id="b"))
    assert until_terminal(operations, "b").state == SUCCEEDED
    operations.tell("a", 1, 2, "waiting for reviews: 1 of 2", is_due=False)
    found = operations.get("a")
    assert (found.state, found.done, found.message) == (WAITING, 1, "waiting for reviews: 1 of 2")
    assert reviews.begun == 1
    reviews.decided = 2
    operations.tell("a", 2, 2, "all", is_due=True)
    found = until_terminal(operations, "a")
    operations.drain()
    assert (found.state, found.result_uri, found.attempts, reviews.begun) == (SUCCEEDED, "sha256:done", 1, 2)


def test_what_comes_just_before_it_waits_is_not_missed(part: Part) -> None:
    reviews = Reviews()

    def work(context: OperationContext, request: StartImportModelRequest) -> str:
        try:
            return reviews.work(context, request)
        finally:
            reviews.decided = 2  # behind the last look, before it waits

    operations = part.operations(work)
    operations.resume()
    operations.start(named("a"))
    assert until_terminal(operations, "a").state == SUCCEEDED
    operations.drain()


def test_waiting_outlives_a_restart_and_ends_when_its_time_is_over(part: Part) -> None:
    first = Reviews()
    operations = part.operations(first.work)
    operations.start(named("a"))
    _until_waiting(operations, "a")
    operations.drain()
    second = Reviews()
    operations = part.operations(second.work, "two")
    operations.resume()
    assert operations.get("a").state == WAITING
    assert second.begun == 0
    second.decided = 2
    with part.engine.begin() as connection:
        connection.execute(sa.text("UPDATE operations SET lease_until = 1"))  # its time is over
    assert until_terminal(operations, "a").state == SUCCEEDED
    operations.drain()


def test_what_is_called_off_while_it_waits_may_clean_up(part: Part) -> None:
    reviews, cleaned = Reviews(), []

    def work(context: OperationContext, request: StartImportModelRequest) -> str:
        try:
            return reviews.work(context, request)
        except Cancelled:
            cleaned.append(context.operation_id)
            raise

    operations = part.operations(work)
    operations.start(named("a"))
    _until_waiting(operations, "a")
    operations.cancel("a")
    found = until_terminal(operations, "a")
    operations.drain()
    assert (found.state, cleaned) == (CANCELLED, ["a"])
