"""What a work queues while operators close and call off, one after the other: no thread decides the order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from medq.controller.v1 import controller_pb2 as pb
from services.oracle.domain.opinions import DISAGREED, with_second_opinions
from services.oracle.domain.review import Verdict
from services.oracle.store.review_tables import CLOSED, METADATA, OPEN
from services.oracle.store.reviews import ReviewStore
from services.oracle.work.reviews import LEFT_OUT, ReviewWork
from shared.operation_context import OperationContext
from shared.outside.accounts import CallBook
from shared.parked import Parked
from tests.support.databases import Database
from tests.support.reviews import accepted, queue_entries, queue_entry

BOOK = CallBook("work", "run", "expert", max_in_flight=2, is_simulated=False)
CONTEXT = OperationContext(None, "op")  # type: ignore[arg-type]  # nothing of it but its id is used


class Ledger:
    """Accounts that are open, and what somebody does when a piece is reserved: the moments between two pieces.

    Args:
        meanwhile: By the number of the piece, from 1.
    """

    def __init__(self, meanwhile: Mapping[int, Callable[[], object]] | None = None) -> None:
        self._meanwhile = dict(meanwhile or {})
        self.n_pieces = 0
        self.open = set[str]()

    def ReserveCosts(self, request: pb.ReserveCostsRequest) -> None:
        self.n_pieces += 1
        self._meanwhile.get(self.n_pieces, lambda: None)()
        self.open |= {cost.key for cost in request.costs}

    def SettleCosts(self, request: pb.SettleCostsRequest) -> None:
        self.open -= {cost.key for cost in request.costs}

    def ReleaseCosts(self, request: pb.ReleaseCostsRequest) -> None:
        self.open -= set(request.keys)


@pytest.fixture
def queue(database: Database) -> ReviewStore:
    return ReviewStore(database.engine(METADATA))


def work_of(queue: ReviewStore, ledger: Ledger) -> ReviewWork:
    return ReviewWork(queue, ledger, lambda: None)  # type: ignore[arg-type]


def states(queue: ReviewStore) -> list[str]:
    return [one.state for one in queue.of_work("work")]


def test_what_is_closed_between_two_pieces_is_closed_with_those_that_come_later(queue: ReviewStore) -> None:
    closed = list[int]()
    ledger = Ledger({2: lambda: closed.append(queue.close("run", "olga")[0])})
    found = work_of(queue, ledger).collect(CONTEXT, BOOK, queue_entries(5))
    assert (closed, ledger.n_pieces) == ([2], 3)
    assert states(queue) == [CLOSED] * 5
    assert set(found.why_not.values()) == {LEFT_OUT}
    assert len(found.why_not) == 5
    assert ledger.open == set()
    assert queue.verify().fault == ""


def test_a_work_that_is_closed_before_its_third_tasks_come_waits_for_none_of_them(queue: ReviewStore) -> None:
    entries = with_second_opinions(queue_entries(3), 1.0, seed=0)
    with pytest.raises(Parked):
        work_of(queue, Ledger()).collect(CONTEXT, BOOK, entries)
    for one in queue.of_work("work"):
        verdict = accepted() if one.entry.opinion == 1 else Verdict("edit", "B", "", 1.0, "bob")
        queue.decide(one.entry.task_id, 1, verdict)
    assert queue.close("run", "olga")[0] == 0  # nothing is open at this moment
    ledger = Ledger()
    found = work_of(queue, ledger).collect(CONTEXT, BOOK, entries)
    assert set(found.why_not.values()) == {DISAGREED}
    assert len(found.why_not) == 3
    assert states(queue)[6:] == [CLOSED] * 3
    assert ledger.open == set()


def test_closing_a_run_closes_neither_its_next_work_nor_one_that_begins_anew(queue: ReviewStore) -> None:
    work = work_of(queue, Ledger())
    with pytest.raises(Parked):
        work.collect(CONTEXT, BOOK, queue_entries(2))
    work.withdraw("work", "run")
    queue.close("run", "olga")
    with pytest.raises(Parked):
        work.collect(CONTEXT, BOOK, queue_entries(2))
    assert states(queue) == [OPEN] * 2
    queue.close("run", "olga")
    with pytest.raises(Parked):
        work.collect(CONTEXT, CallBook("next", "run", "expert", 2, False), [queue_entry(7, work_id="next")])
    assert [one.state for one in queue.of_work("next")] == [OPEN]
