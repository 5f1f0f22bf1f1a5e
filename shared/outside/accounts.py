"""The accounts of outside calls with the controller: reserved and put into the audit before they are made, closed after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import grpc

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from shared.chat.egress import Egress
from shared.spending import Spending
from shared.status import from_rpc_error

#: Most entries of one call to the controller.
_MOST = 1000


@dataclass(frozen=True)
class CallBook:
    """Whose calls these are.

    Attributes:
        work_id: What the calls are for; the same in an operation that takes up what another left.
        run_id: The run whose ledger pays; "" keeps no accounts.
        kind: "oracle", "expert" or "judge".
        max_in_flight: Calls reserved and not yet stored at a time, at least 1.
        is_simulated: Whether the figures are.
        tries: How often a call is made in all where it may go through later, at least 1.
        patience_seconds: Longest that calls wait between their tries, in all.
    """

    work_id: str
    run_id: str
    kind: str
    max_in_flight: int
    is_simulated: bool
    tries: int = 1
    patience_seconds: float = 0.0


class Accounts:
    """The ledger and the audit, as callers outside use them.

    Args:
        controller: Keeps both.
    """

    def __init__(self, controller: ControllerServiceStub) -> None:
        self._controller = controller

    def open(
        self,
        book: CallBook,
        request_id: str,
        estimates: Mapping[str, Spending],
        leaving: Mapping[str, Sequence[Egress]],
    ) -> None:
        """Reserve what calls may cost at most, then note what is about to leave; all or nothing is open afterwards.

        Args:
            book: Whose calls they are.
            request_id: Of this try of these calls.
            estimates: The most that each call may cost, by key.
            leaving: What each call sends outside, by key.

        Raises:
            MedqError: BudgetExhausted where the run may not spend so much; else as the controller says.
        """
        try:
            if book.run_id:
                costs = [cost_of(book, key, replace(most, is_stated=True)) for key, most in estimates.items()]
                self._controller.ReserveCosts(
                    pb.ReserveCostsRequest(run_id=book.run_id, costs=costs, request_id=request_id)
                )
            self._note(book, request_id, leaving)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def close(self, book: CallBook, request_id: str, unspent: Sequence[str], unknown: Sequence[str]) -> None:
        """Close calls that brought nothing: known to have cost nothing, or nobody knows."""
        if book.run_id and (unspent or unknown):
            self._controller.ReleaseCosts(
                pb.ReleaseCostsRequest(run_id=book.run_id, request_id=request_id, keys=unspent, unknown_keys=unknown)
            )

    def settle(self, book: CallBook, spent: Mapping[str, Spending], *, is_on_record: bool = False) -> None:
        """Settle calls at what they cost, by key; `is_on_record` as in the proto."""
        if not book.run_id:
            return
        keys = sorted(spent)
        for start in range(0, len(keys), _MOST):
            costs = [cost_of(book, key, spent[key]) for key in keys[start : start + _MOST]]
            self._controller.SettleCosts(
                pb.SettleCostsRequest(run_id=book.run_id, costs=costs, is_on_record=is_on_record)
            )

    def _note(self, book: CallBook, request_id: str, leaving: Mapping[str, Sequence[Egress]]) -> None:
        """Write the rows of the audit; where that fails nothing may leave, so what was reserved is released."""
        rows = [pb.Egress(key=key, **asdict(one)) for key, some in leaving.items() for one in some]
        try:
            for start in range(0, len(rows), _MOST):
                self._controller.RecordEgress(
                    pb.RecordEgressRequest(
                        run_id=book.run_id, egress=rows[start : start + _MOST], request_id=f"{request_id}/{start}"
                    )
                )
        except grpc.RpcError:
            self.close(book, request_id, list(leaving), ())
            raise


def cost_of(book: CallBook, key: str, spent: Spending) -> pb.Cost:
    """An entry for the ledger."""
    return pb.Cost(
        key=key,
        kind=book.kind,
        usd=spent.usd,
        tokens=spent.tokens_in + spent.tokens_out,
        expert_seconds=spent.expert_seconds,
        is_simulated=book.is_simulated,
        is_usage_unstated=not spent.is_stated,
    )
