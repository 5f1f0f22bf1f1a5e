from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from services.oracle.outside_calls import CallBook, OutsideCall, OutsideCalls
from services.oracle.ports import Outcome, Spending
from services.oracle.store import METADATA, OracleStore
from shared.errors import BudgetExhausted, Unavailable

BOOK = CallBook("op", "run", "oracle", max_in_flight=3, is_simulated=True)


class Killed(BaseException):
    """Stands for a kill: nothing of ours may catch it."""


class MemoryLedger:
    """Counts; fails or is killed where a test says so."""

    def __init__(self, limit=10**9):
        self.limit = limit
        self.reserved, self.settled = Counter(), {}
        self.kill_settle = False

    def reserve(self, run_id, entries):
        if sum(self.reserved.values()) + len(entries) > self.limit:
            raise BudgetExhausted("The budget is spent.")
        self.reserved.update(entry.key for entry in entries)

    def settle(self, run_id, entries):
        if self.kill_settle:
            raise Killed
        self.settled.update({entry.key: entry.spending.usd for entry in entries})


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
        return [OutsideCall(f"k{i}", Spending(usd=1.0), partial(self.answer, f"k{i}")) for i in range(n)]


@pytest.fixture
def store(database):
    return OracleStore(database.engine(METADATA))


def run(store, ledger, callee, book=BOOK):
    return OutsideCalls(store, ledger).run(book, callee.calls(), lambda done: None)


def test_each_call_is_made_once_and_settled_at_what_it_cost(store):
    ledger, callee = MemoryLedger(), Callee()
    results = run(store, ledger, callee)
    assert results.outcomes.keys() == callee.asked.keys() == ledger.settled.keys()
    assert set(callee.asked.values()) == set(ledger.reserved.values()) == {1}
    assert set(ledger.settled.values()) == {0.5}
    assert results.stopped == ""


def test_a_second_run_asks_reserves_and_settles_nothing(store):
    run(store, MemoryLedger(), Callee())
    ledger, callee = MemoryLedger(), Callee()
    assert len(run(store, ledger, callee).outcomes) == 8
    assert not callee.asked
    assert not ledger.reserved
    assert not ledger.settled


@pytest.mark.parametrize("killed_at", [f"k{i}" for i in range(8)])
def test_a_kill_repeats_at_most_the_calls_in_flight(store, killed_at):
    ledger, callee = MemoryLedger(), Callee(kill_at=killed_at)
    with pytest.raises(Killed):
        run(store, ledger, callee)
    callee.kill_at = None
    results = run(store, ledger, callee)
    assert len(results.outcomes) == len(ledger.settled) == 8
    assert sum(ledger.reserved.values()) - 8 <= BOOK.max_in_flight
    assert sum(callee.asked.values()) - 8 <= BOOK.max_in_flight - 1


def test_what_was_stored_and_not_settled_is_settled_later_and_not_asked_again(store):
    ledger, callee = MemoryLedger(), Callee()
    ledger.kill_settle = True
    with pytest.raises(Killed):
        run(store, ledger, callee)
    assert not ledger.settled
    ledger.kill_settle = False
    run(store, ledger, callee)
    assert len(ledger.settled) == 8
    assert set(callee.asked.values()) == {1}


def test_a_spent_budget_stops_before_the_chunk_that_it_cannot_pay(store):
    ledger, callee = MemoryLedger(limit=7), Callee()
    results = run(store, ledger, callee)
    assert list(results.outcomes) == [f"k{i}" for i in range(6)]
    assert results.stopped == "The budget is spent."
    assert len(callee.asked) == len(ledger.settled) == 6


def test_an_error_of_the_callee_is_the_callers(store):
    class Down(Callee):
        def answer(self, key):
            raise Unavailable("down")

    with pytest.raises(Unavailable):
        run(store, MemoryLedger(), Down())


def test_two_works_do_not_share_outcomes(store):
    callee = Callee()
    run(store, MemoryLedger(), callee)
    run(store, MemoryLedger(), callee, CallBook("other", "run", "oracle", 3, True))
    assert set(callee.asked.values()) == {2}
