"""The ledger against a model of it: whatever is reserved, settled and lost to kills, in whatever order."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from services.controller.domain.ledger import RELEASED, RESERVED, SETTLED, UNKNOWN, Cost, Limits
from services.controller.store.ledger import METADATA, Ledger
from shared.errors import AlreadyExists, BudgetExhausted, FailedPrecondition

LIMIT = 12.0
keys = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True)
prices = st.integers(0, 4)


class LedgerMachine(RuleBasedStateMachine):
    """`rows`: key -> list of (state, usd) by attempt. `requests`: reservations by id: key -> attempt, and the answer."""

    def __init__(self, ledger, run_id):
        super().__init__()
        self.ledger = ledger
        self.run_id = run_id
        self.rows = {}
        self.requests = []

    @rule(names=keys, price=prices)
    def reserve(self, names, price):
        costs = [Cost(name, "oracle", usd=price) for name in names]
        request_id = f"request-{len(self.requests)}"
        if price > 0 and self._committed() + price * len(names) > LIMIT:
            with pytest.raises(BudgetExhausted):
                self.ledger.reserve(self.run_id, costs, Limits(max_usd=LIMIT), request_id)
            return
        doubtful = [name for name in names if self._latest(name) in (RESERVED, UNKNOWN)]
        assert self.ledger.reserve(self.run_id, costs, Limits(max_usd=LIMIT), request_id) == doubtful
        for name in names:
            attempts = self.rows.setdefault(name, [])
            if self._latest(name) == RESERVED:
                attempts[-1] = (UNKNOWN, attempts[-1][1])
            attempts.append((RESERVED, price))
        self.requests.append(({name: len(self.rows[name]) for name in names}, costs, doubtful))

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def reserve_again_since_the_answer_was_lost(self, data):
        number = data.draw(st.integers(0, len(self.requests) - 1))
        _, costs, answer = self.requests[number]
        assert self.ledger.reserve(self.run_id, costs, Limits(max_usd=LIMIT), f"request-{number}") == answer

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), names=keys, unknown=keys)
    def release(self, data, names, unknown):
        number = data.draw(st.integers(0, len(self.requests) - 1))
        self.ledger.release(self.run_id, f"request-{number}", names, unknown)
        for name, attempt in self.requests[number][0].items():
            if self.rows[name][attempt - 1][0] == RESERVED:
                if name in names:
                    self.rows[name][attempt - 1] = (RELEASED, 0.0)
                elif name in unknown:
                    self.rows[name][attempt - 1] = (UNKNOWN, self.rows[name][attempt - 1][1])

    @rule(names=keys, price=prices)
    def settle(self, names, price):
        costs = [Cost(name, "oracle", usd=price) for name in names]
        if any(name not in self.rows for name in names) or any(
            self.rows[name][-1][0] == SETTLED and self.rows[name][-1][1] != price for name in names
        ):
            with pytest.raises((AlreadyExists, FailedPrecondition)):
                self.ledger.settle(self.run_id, costs)
            return
        self.ledger.settle(self.run_id, costs)
        for name in names:
            self.rows[name][-1] = (SETTLED, price)

    @rule(names=keys, price=prices)
    def settle_what_is_on_record(self, names, price):
        self.ledger.settle(self.run_id, [Cost(name, "oracle", usd=price) for name in names], is_on_record=True)
        for name in names:
            attempts = self.rows.setdefault(name, [])
            if self._latest(name) != RESERVED and (SETTLED, price) in attempts:
                continue
            if attempts and attempts[-1][0] != SETTLED:
                attempts.pop()
            attempts.append((SETTLED, price))

    @invariant()
    def the_table_is_the_model(self):
        found = {}
        for entry in self.ledger.all_entries(self.run_id):
            found.setdefault(entry.cost.key, []).append((entry.attempt, entry.state, entry.cost.usd))
        assert found == {
            name: [(number + 1, state, price) for number, (state, price) in enumerate(attempts)]
            for name, attempts in self.rows.items()
        }
        assert self.ledger.committed(self.run_id) == (self._committed(), 0.0)

    def _latest(self, name):
        return self.rows[name][-1][0] if self.rows.get(name) else None

    def _committed(self):
        return sum(price for attempts in self.rows.values() for _, price in attempts)


def test_the_ledger_is_its_model(database):
    ledger, numbers = Ledger(database.engine(METADATA)), count()
    run_state_machine_as_test(
        lambda: LedgerMachine(ledger, f"run {next(numbers)}"),
        settings=settings(
            max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
