"""Outside calls with their accounts: reserve, call, store the outcome, settle. Knows neither oracle nor expert.

A killed process leaves at most `max_in_flight` calls that were reserved and perhaps made, and whose outcome is not stored;
they are made again under the same keys, and the ledger shows the first attempt as `unknown`. No stored call is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from prometheus_client import Counter

from medq.controller.v1.controller_pb2 import Cost, ReserveCostsRequest, SettleCostsRequest
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from services.oracle.ports import Outcome, Spending
from services.oracle.store import OracleStore
from shared.errors import BudgetExhausted
from shared.status import from_rpc_error

_CALLS = Counter("medq_oracle_calls_total", "Calls to the oracle and to experts that came back.", ["kind"])
#: Most entries of one call to the ledger.
_LEDGER_BATCH = 1000
#: Most threads that wait for outside calls.
_MAX_THREADS = 32


@dataclass(frozen=True)
class OutsideCall:
    """A call that has not been made: its ledger key, the most it may cost, and how to make it."""

    key: str
    estimate: Spending
    make: Callable[[], Outcome]


@dataclass(frozen=True)
class CallBook:
    """Whose calls these are.

    Attributes:
        work_id: What the calls are for; the same in an operation that takes up what another left.
        run_id: The run whose ledger pays; "" keeps no accounts.
        kind: "oracle" or "expert".
        max_in_flight: Calls reserved and not yet stored at a time, at least 1.
        is_simulated: Whether the figures are.
    """

    work_id: str
    run_id: str
    kind: str
    max_in_flight: int
    is_simulated: bool


@dataclass(frozen=True)
class CallResults:
    """Outcomes by key, and why the calls ended early ("" where they did not)."""

    outcomes: Mapping[str, Outcome]
    stopped: str


class OutsideCalls:
    """Makes outside calls once each, with accounts.

    Args:
        store: Keeps the outcomes.
        ledger: The controller, which keeps the accounts.
    """

    def __init__(self, store: OracleStore, ledger: ControllerServiceStub) -> None:
        self._store = store
        self._ledger = ledger

    def run(self, book: CallBook, calls: Sequence[OutsideCall], progress: Callable[[int], None]) -> CallResults:
        """Make the calls that have no stored outcome.

        Args:
            book: Whose calls they are.
            calls: With different keys; made in this order, in chunks of `max_in_flight`.
            progress: Told how many outcomes there are, before each chunk; what it raises ends the work.

        Returns: The outcomes of these calls, those stored before included. Where the budget does not allow a chunk, no
            further one is begun and the reason is given.
        """
        stored = self._store.outcomes(book.work_id, book.kind)
        unsettled = {key: known.outcome for key, known in stored.items() if not known.is_settled}
        self._settle(book, unsettled)
        outcomes = {call.key: stored[call.key].outcome for call in calls if call.key in stored}
        missing = [call for call in calls if call.key not in stored]
        with ThreadPoolExecutor(min(book.max_in_flight, _MAX_THREADS)) as pool:
            for start in range(0, len(missing), book.max_in_flight):
                progress(len(outcomes))
                chunk = missing[start : start + book.max_in_flight]
                try:
                    self._reserve(book, chunk)
                except BudgetExhausted as error:
                    return CallResults(outcomes, error.message)
                made = dict(zip((call.key for call in chunk), pool.map(_make, chunk), strict=True))
                has_account = bool(book.run_id)
                made = self._store.keep_outcomes(book.work_id, book.kind, made, is_settled=not has_account)
                self._settle(book, made)
                outcomes.update(made)
                _CALLS.labels(book.kind).inc(len(made))
        progress(len(outcomes))
        return CallResults(outcomes, "")

    def _reserve(self, book: CallBook, calls: Sequence[OutsideCall]) -> None:
        if not book.run_id:
            return
        costs = [_cost(book, call.key, call.estimate) for call in calls]
        try:
            self._ledger.ReserveCosts(ReserveCostsRequest(run_id=book.run_id, costs=costs))
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def _settle(self, book: CallBook, outcomes: Mapping[str, Outcome]) -> None:
        if not book.run_id:
            return
        keys = sorted(outcomes)
        for start in range(0, len(keys), _LEDGER_BATCH):
            batch = keys[start : start + _LEDGER_BATCH]
            costs = [_cost(book, key, outcomes[key].spending) for key in batch]
            self._ledger.SettleCosts(SettleCostsRequest(run_id=book.run_id, costs=costs))
            self._store.mark_settled(book.work_id, batch)


def _cost(book: CallBook, key: str, spent: Spending) -> Cost:
    return Cost(
        key=key,
        kind=book.kind,
        usd=spent.usd,
        tokens=spent.tokens_in + spent.tokens_out,
        expert_seconds=spent.expert_seconds,
        is_simulated=book.is_simulated,
    )


def _make(call: OutsideCall) -> Outcome:
    return call.make()
