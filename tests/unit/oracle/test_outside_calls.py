from __future__ import annotations

from collections import Counter
from functools import partial

import grpc
import pytest

from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from services.oracle.ports import Outcome
from services.oracle.store.annotations import METADATA, OracleStore
from shared.errors import Unavailable
from shared.outside.accounts import CallBook
from shared.outside.call import ready
from shared.outside.calls import OutsideCalls
from shared.spending import Spending
from tests.support.annotation import FakeNeighbours
from tests.support.servers import short_folder

BOOK = CallBook("op", "run", "oracle", max_in_flight=3, is_simulated=True)


class Killed(BaseException):
    """Stands for a kill: nothing of ours may catch it."""


class Callee:
    """Answers, and counts how often each key was asked."""

    def __init__(self, kill_at=None):
        self.asked = Counter()
        self.kill_at = kill_at

    def answer(self, key):
        if key == self.kill_at:
            raise Killed
        self.asked[key] += 1
        return Outcome("A", "", Spending(usd=0.5))

    def calls(self, n=8):
        return [ready(f"k{i}", Spending(usd=1.0), partial(self.answer, f"k{i}")) for i in range(n)]


@pytest.fixture
def store(database):
    return OracleStore(database.engine(METADATA))


@pytest.fixture
def ledger():
    """A real server with a ledger that a test can limit or close."""
    with short_folder() as folder:
        neighbours = FakeNeighbours(None)
        server, targets = neighbours.serve(folder)
        with grpc.insecure_channel(targets["controller"]) as channel:
            neighbours.stub = ControllerServiceStub(channel)
            yield neighbours
        server.stop(0).wait()


def run(store, ledger, callee, book=BOOK):
    return OutsideCalls(store, ledger.stub).run(book, callee.calls(), lambda done: None)


def test_each_call_is_made_once_and_settled_at_what_it_cost(store, ledger):
    callee = Callee()
    results = run(store, ledger, callee)
    settled = {cost.key: cost.usd for cost in ledger.settled}
    assert results.outcomes.keys() == callee.asked.keys() == settled.keys() == set(ledger.reserved)
    assert set(callee.asked.values()) == {1}
    assert len(ledger.reserved) == len(ledger.settled) == 8
    assert set(settled.values()) == {0.5}
    assert results.stopped == ""


def test_a_second_run_asks_reserves_and_settles_nothing(store, ledger):
    run(store, ledger, Callee())
    callee = Callee()
    assert len(run(store, ledger, callee).outcomes) == 8
    assert not callee.asked
    assert len(ledger.reserved) == len(ledger.settled) == 8


@pytest.mark.parametrize("killed_at", [f"k{i}" for i in range(8)])
def test_a_kill_repeats_at_most_the_calls_in_flight(store, ledger, killed_at):
    callee = Callee(kill_at=killed_at)
    with pytest.raises(Killed):
        run(store, ledger, callee)
    callee.kill_at = None
    results = run(store, ledger, callee)
    assert len(results.outcomes) == len({cost.key for cost in ledger.settled}) == 8
    assert len(ledger.reserved) - 8 <= BOOK.max_in_flight
    assert sum(callee.asked.values()) - 8 <= BOOK.max_in_flight - 1


def test_what_was_stored_and_not_settled_is_settled_later_and_not_asked_again(store, ledger):
    callee = Callee()
    ledger.fail_after = 0
    with pytest.raises(grpc.RpcError):
        run(store, ledger, callee)
    assert not ledger.settled
    ledger.fail_after = 10**9
    run(store, ledger, callee)
    assert len(ledger.settled) == 8
    assert set(callee.asked.values()) == {1}


def test_a_spent_budget_stops_before_the_chunk_that_it_cannot_pay(store, ledger):
    ledger.limit, callee = 7, Callee()
    results = run(store, ledger, callee)
    assert list(results.outcomes) == [f"k{i}" for i in range(6)]
    assert results.stopped == "The budget is spent."
    assert len(callee.asked) == len(ledger.settled) == 6


def test_an_error_of_the_callee_is_the_callers(store, ledger):
    class Down(Callee):
        def answer(self, key):
            raise Unavailable("down")

    with pytest.raises(Unavailable):
        run(store, ledger, Down())


def test_two_works_do_not_share_outcomes(store, ledger):
    callee = Callee()
    run(store, ledger, callee)
    run(store, ledger, callee, CallBook("other", "run", "oracle", 3, True))
    assert set(callee.asked.values()) == {2}
