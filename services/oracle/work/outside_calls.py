"""Outside calls with their accounts: reserve, call, store the outcome, settle. Knows neither oracle nor expert.

An outcome is stored as it arrives, before anything else that can fail, and no stored call is made again. What is not settled
is closed: as released where nothing was spent (the call failed so, or never began), as unknown where nobody knows. A killed
process leaves at most `max_in_flight` calls reserved; they are made again, and the ledger shows the first attempt as unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import grpc
from prometheus_client import Counter

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from services.oracle.ports import Outcome, Spending
from services.oracle.store.annotations import OracleStore
from shared.errors import (
    BudgetExhausted,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from shared.status import from_rpc_error

_CALLS = Counter("medq_oracle_calls_total", "Calls to the oracle and to experts that came back.", ["kind"])
#: Most entries of one call to the ledger.
_LEDGER_BATCH = 1000
#: Most threads that wait for outside calls.
_MAX_THREADS = 32
#: How soon work that is called off while it waits for an outside call notices, in seconds.
_LOOK_SECONDS = 0.5
# The table in `services.oracle.ports`.
_REFUSED = (InvalidArgument, NotFound)
_NOT_MADE = (Unavailable, PermissionDenied, Unauthenticated, FailedPrecondition, BudgetExhausted)


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
    """Outcomes by key, why the calls ended early ("" where they did not), and why a call was refused for good, by key."""

    outcomes: Mapping[str, Outcome]
    stopped: str
    refused: Mapping[str, str] = field(default_factory=dict)

    def why_not(self, key: str) -> str:
        """Why a call has no outcome."""
        return self.refused.get(key, self.stopped)


@dataclass
class _Chunk:
    """What has become of calls that were reserved together: stored outcomes, errors, and what never began."""

    calls: Sequence[OutsideCall]
    request_id: str = field(default_factory=lambda: uuid4().hex)
    made: dict[str, Outcome] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    not_begun: list[str] = field(default_factory=list)

    def knows(self, key: str) -> bool:
        """True once the call has come back."""
        return key in self.made or key in self.failed

    @property
    def refused(self) -> dict[str, str]:
        """The calls that are refused for good, and why."""
        return {key: f"refused: {error.message}" for key, error in self.failed.items() if isinstance(error, _REFUSED)}

    @property
    def unspent(self) -> list[str]:
        """The calls that are known to have cost nothing."""
        failed = [key for key, error in self.failed.items() if isinstance(error, (*_REFUSED, *_NOT_MADE))]
        return [*failed, *self.not_begun]

    def raise_first(self) -> None:
        """Raise the first error, in the order of the calls, that ends the work."""
        for call in self.calls:
            error = self.failed.get(call.key)
            if error is not None and not isinstance(error, _REFUSED):
                raise error


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
            progress: Told how many outcomes there are, at least twice a second; what it raises ends the work.

        Returns: The outcomes of these calls, those stored before included. Where the budget does not allow a chunk, no
            further one is begun and the reason is given.

        Raises:
            Exception: The first that a call raised, but for what refuses that call alone. All calls of the chunk have been
                made then, and what they brought is kept.
        """
        stored = self._store.outcomes(book.work_id, book.kind)
        self._settle(book, stored, is_on_record=True)
        outcomes = {call.key: stored[call.key] for call in calls if call.key in stored}
        missing = [call for call in calls if call.key not in stored]
        refused: dict[str, str] = {}
        with ThreadPoolExecutor(min(book.max_in_flight, _MAX_THREADS)) as pool:
            for start in range(0, len(missing), book.max_in_flight):
                progress(len(outcomes))
                chunk = _Chunk(missing[start : start + book.max_in_flight])
                try:
                    self._reserve(book, chunk)
                except BudgetExhausted as error:
                    return CallResults(outcomes, error.message, refused)
                self._make(book, chunk, pool, partial(progress, len(outcomes)))
                outcomes |= chunk.made
                refused |= chunk.refused
        progress(len(outcomes))
        return CallResults(outcomes, "", refused)

    def _make(self, book: CallBook, chunk: _Chunk, pool: ThreadPoolExecutor, look: Callable[[], None]) -> None:
        """Make the calls of a chunk and close its accounts, also where they fail or `look` ends the work."""
        calls = {pool.submit(call.make): call.key for call in chunk.calls}
        left = set(calls)
        try:
            while left:
                done, left = wait(left, _LOOK_SECONDS, FIRST_COMPLETED)
                self._keep(book, chunk, {calls[future]: future for future in done})
                look()
        except Exception:
            # What has begun may be paid for, so it is waited for; the rest never begins.
            open_calls = {key: future for future, key in calls.items() if not chunk.knows(key)}
            begun = {key: future for key, future in open_calls.items() if not future.cancel()}
            chunk.not_begun += [key for key in open_calls if key not in begun]
            wait(begun.values())
            self._keep(book, chunk, begun)
            self._close(book, chunk)
            raise
        self._close(book, chunk)
        chunk.raise_first()

    def _keep(self, book: CallBook, chunk: _Chunk, done: Mapping[str, Future[Outcome]]) -> None:
        """Store what calls have brought, before anything that can fail."""
        errors = {key: future.exception() for key, future in done.items()}
        brought = {key: done[key].result() for key, error in errors.items() if error is None}
        chunk.made |= self._store.keep_outcomes(book.work_id, book.kind, brought)
        _CALLS.labels(book.kind).inc(len(brought))
        for key, error in errors.items():
            if isinstance(error, Exception):
                chunk.failed[key] = error
            elif error is not None:
                raise error

    def _reserve(self, book: CallBook, chunk: _Chunk) -> None:
        if not book.run_id:
            return
        costs = [cost_of(book, call.key, call.estimate) for call in chunk.calls]
        request = pb.ReserveCostsRequest(run_id=book.run_id, costs=costs, request_id=chunk.request_id)
        try:
            self._ledger.ReserveCosts(request)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def _close(self, book: CallBook, chunk: _Chunk) -> None:
        """Settle what was brought and release the rest; where this fails, what is stored is settled by the next attempt."""
        unspent = chunk.unspent
        unknown = [key for key in chunk.failed if key not in unspent]
        if book.run_id and (unspent or unknown):
            self._ledger.ReleaseCosts(
                pb.ReleaseCostsRequest(
                    run_id=book.run_id, request_id=chunk.request_id, keys=unspent, unknown_keys=unknown
                )
            )
        self._settle(book, chunk.made)

    def _settle(self, book: CallBook, outcomes: Mapping[str, Outcome], *, is_on_record: bool = False) -> None:
        if not book.run_id:
            return
        keys = sorted(outcomes)
        for start in range(0, len(keys), _LEDGER_BATCH):
            costs = [cost_of(book, key, outcomes[key].spending) for key in keys[start : start + _LEDGER_BATCH]]
            self._ledger.SettleCosts(pb.SettleCostsRequest(run_id=book.run_id, costs=costs, is_on_record=is_on_record))


def cost_of(book: CallBook, key: str, spent: Spending) -> pb.Cost:
    """An entry for the ledger."""
    return pb.Cost(
        key=key,
        kind=book.kind,
        usd=spent.usd,
        tokens=spent.tokens_in + spent.tokens_out,
        expert_seconds=spent.expert_seconds,
        is_simulated=book.is_simulated,
    )
