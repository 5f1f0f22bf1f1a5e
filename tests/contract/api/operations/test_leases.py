"""Operations across restarts, and between processes that share a database."""

from __future__ import annotations

import threading

import sqlalchemy as sa

from medq.training.v1.training_pb2 import StartImportModelRequest
from shared.operation_context import OperationContext
from tests.support.operation_part import Part, named, nothing, until_terminal


def test_an_unfinished_operation_is_taken_up_after_a_restart(part: Part) -> None:
    first = part.operations(nothing)
    first.drain()  # accepts, but no longer works: as a process that is killed right after its answer
    first.start(named("a"))
    second = part.operations(lambda context, request: "sha256:" + "0" * 64)
    second.resume()
    assert until_terminal(second, "a").state == "succeeded"
    second.drain()


def test_drained_work_is_given_back_and_finished_by_the_next(part: Part) -> None:
    begun = threading.Event()

    def endless(context: OperationContext, request: StartImportModelRequest) -> str:
        begun.set()
        while True:
            context.check_cancelled()

    first = part.operations(endless, owner="one")
    first.start(named("a"))
    begun.wait(30)
    first.drain()
    assert first.get("a").state == "pending"
    second = part.operations(nothing, owner="two")
    second.resume()
    found = until_terminal(second, "a")
    second.drain()
    assert (found.state, found.attempts) == ("succeeded", 2)


def test_a_row_whose_lease_ran_out_is_taken_over(part: Part) -> None:
    gone = part.operations(nothing, owner="gone")
    gone.drain()
    gone.start(named("a"))
    table = sa.table("operations", sa.column("state"), sa.column("owner"), sa.column("lease_until"))
    with part.engine.begin() as connection:
        connection.execute(sa.update(table).values(state="running", owner="gone", lease_until=1.0))
    other = part.operations(nothing, owner="other")
    other.resume()
    assert until_terminal(other, "a").state == "succeeded"
    other.drain()


def test_what_a_busy_process_noted_is_done_by_one_that_is_free(part: Part) -> None:
    begun, release = threading.Event(), threading.Event()

    def hold(context: OperationContext, request: StartImportModelRequest) -> str:
        begun.set()
        release.wait(30)
        return ""

    busy = part.operations(hold, owner="busy", n_workers=1)
    busy.start(named("held"))
    begun.wait(30)
    free = part.operations(nothing, owner="free")
    free.resume()
    for name in ("a", "b", "c"):
        busy.start(named(name))
    assert {until_terminal(busy, name).state for name in ("a", "b", "c")} == {"succeeded"}
    assert free.get("held").state == "running"
    release.set()
    assert until_terminal(free, "held").attempts == 1
    for operations in (busy, free):
        operations.drain()


def test_a_process_does_not_call_off_the_second_attempt_of_what_it_saw_called_off(part: Part) -> None:
    first, second = part.operations(nothing, owner="one"), part.operations(nothing, owner="two")
    second.drain()  # notes and reopens, but does not work
    second.start(named("a"))
    first.cancel("a")
    second.retry("a")
    first.resume()
    assert until_terminal(first, "a").state == "succeeded"
    first.drain()


def test_a_row_with_a_living_lease_is_left_alone(part: Part) -> None:
    release = threading.Event()
    begun = threading.Event()

    def hold(context: OperationContext, request: StartImportModelRequest) -> str:
        begun.set()
        release.wait(30)
        return ""

    first = part.operations(hold, owner="one")
    first.start(named("a"))
    begun.wait(30)
    second = part.operations(nothing, owner="two")
    second.resume()
    second.start(named("a"))
    second.drain()
    assert first.get("a").state == "running"
    release.set()
    assert until_terminal(first, "a").attempts == 1
    first.drain()
