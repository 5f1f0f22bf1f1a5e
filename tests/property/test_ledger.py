"""The ledger against a model of it: whatever is reserved, settled and lost to kills, in whatever order."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from services.controller.domain.ledger import RESERVED, SETTLED, UNKNOWN, Cost, Limits
from services.controller.store.ledger import METADATA, Ledger
from shared.errors import AlreadyExists, BudgetExhausted, FailedPrecondition

LIMIT = 12.0
keys = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True)
prices = st.integers(0, 4)


class LedgerMachine(RuleBasedStateMachine):
    """`rows`: key -> list of (state, usd) by attempt."""

    def __init__(self, ledger, run_id):
        super().__init__()
        self.ledger = ledger
        self.run_id = run_id
        self.rows = {}

    @rule(names=keys, price=prices)
    def reserve(self, names, price):
        new = [name for name in names if self._latest(name) != SETTLED]
        costs = [Cost(name, "oracle", usd=price) for name in names]
        asked = price * len(new)
        if asked > 0 and self._committed() + asked > LIMIT:
            with pytest.raises(BudgetExhausted):
                self.ledger.reserve(self.run_id, costs, Limits(max_usd=LIMIT))
            return
        reopened = [name for name in new if name in self.rows]
        assert self.ledger.reserve(self.run_id, costs, Limits(max_usd=LIMIT)) == reopened
        for name in new:
            attempts = self.rows.setdefault(name, [])
            if attempts:
                attempts[-1] = (UNKNOWN, attempts[-1][1])
            attempts.append((RESERVED, price))

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
        return self.rows[name][-1][0] if name in self.rows else None

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
