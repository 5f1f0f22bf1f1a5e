"""The ledger that the controller keeps, over its stub."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1 import controller_pb2_grpc as pb_grpc
from services.oracle.ports import LedgerEntry
from shared.status import from_rpc_error


class ControllerLedger:
    """A `Ledger` in the controller.

    Args:
        channel: To the controller.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = pb_grpc.ControllerServiceStub(channel)

    def reserve(self, run_id: str, entries: Sequence[LedgerEntry]) -> None:
        """Reserve; see the port."""
        request = pb.ReserveCostsRequest(run_id=run_id, costs=map(_to_message, entries))
        try:
            self._stub.ReserveCosts(request)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def settle(self, run_id: str, entries: Sequence[LedgerEntry]) -> None:
        """Settle; see the port."""
        request = pb.SettleCostsRequest(run_id=run_id, costs=map(_to_message, entries))
        try:
            self._stub.SettleCosts(request)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None


def _to_message(entry: LedgerEntry) -> pb.Cost:
    spent = entry.spending
    return pb.Cost(
        key=entry.key,
        kind=entry.kind,
        usd=spent.usd,
        tokens=spent.tokens_in + spent.tokens_out,
        expert_seconds=spent.expert_seconds,
        is_simulated=entry.is_simulated,
    )
