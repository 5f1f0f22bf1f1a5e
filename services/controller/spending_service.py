"""The RPCs of what a run spends and of what leaves the site: the budget ledger, and the audit of egress."""

from __future__ import annotations

import re

import grpc

from medq.controller.v1 import controller_pb2 as pb
from medq.controller.v1 import controller_pb2_grpc as pb_grpc
from services.controller.configuration.models import StopSection
from services.controller.domain.egress import Leaving
from services.controller.domain.egress import require_valid as require_valid_egress
from services.controller.domain.ledger import Cost, Limits
from services.controller.loop.decisions import limits_of
from services.controller.report import lineage_messages
from services.controller.store.egress import EgressLog
from services.controller.store.ledger import Ledger
from services.controller.store.runs import RunStore
from shared.errors import InvalidArgument
from shared.limits import OPERATION_ID, OPERATION_ID_FORM
from shared.rpc.checks import read_page_token

_MAX_COSTS = 1000


class SpendingService(pb_grpc.ControllerServiceServicer):
    """Their part of `medq.controller.v1.ControllerService`.

    Args:
        store: The rows of runs: their limits.
        ledger: What they cost.
        egress: What left.
    """

    def __init__(self, store: RunStore, ledger: Ledger, egress: EgressLog) -> None:
        self._store = store
        self._ledger = ledger
        self._egress = egress

    def ReserveCosts(self, request: pb.ReserveCostsRequest, context: grpc.ServicerContext) -> pb.ReserveCostsResponse:
        """See the proto."""
        if request.request_id:
            _require_request_id(request.request_id)
        costs = _costs(request)
        unknown = self._ledger.reserve(request.run_id, costs, self._limits(request.run_id), request.request_id)
        return pb.ReserveCostsResponse(unknown_keys=unknown)

    def SettleCosts(self, request: pb.SettleCostsRequest, context: grpc.ServicerContext) -> pb.SettleCostsResponse:
        """See the proto."""
        self._ledger.settle(request.run_id, _costs(request), is_on_record=request.is_on_record)
        return pb.SettleCostsResponse()

    def ReleaseCosts(self, request: pb.ReleaseCostsRequest, context: grpc.ServicerContext) -> pb.ReleaseCostsResponse:
        """See the proto."""
        _require_request_id(request.request_id)
        _require_run_of_costs(request.run_id, len(request.keys) + len(request.unknown_keys))
        self._ledger.release(request.run_id, request.request_id, request.keys, request.unknown_keys)
        return pb.ReleaseCostsResponse()

    def ListCosts(self, request: pb.ListCostsRequest, context: grpc.ServicerContext) -> pb.ListCostsResponse:
        """See the proto."""
        entries, following = self._ledger.entries(
            request.run_id, min(request.page_size or 1000, 1000), read_page_token(request.page_token) or 0
        )
        return pb.ListCostsResponse(
            entries=[lineage_messages.of_entry(entry) for entry in entries],
            next_page_token="" if following is None else str(following),
        )

    def RecordEgress(self, request: pb.RecordEgressRequest, context: grpc.ServicerContext) -> pb.RecordEgressResponse:
        """See the proto."""
        _require_request_id(request.request_id)
        rows = [
            Leaving(**{name: getattr(row, name) for name in Leaving.__dataclass_fields__}) for row in request.egress
        ]
        require_valid_egress(rows)
        self._egress.record(request.run_id, request.request_id, rows)
        return pb.RecordEgressResponse()

    def ListEgress(self, request: pb.ListEgressRequest, context: grpc.ServicerContext) -> pb.ListEgressResponse:
        """See the proto."""
        rows, following = self._egress.page(
            request.run_id, min(request.page_size or 1000, 1000), read_page_token(request.page_token) or 0
        )
        return pb.ListEgressResponse(
            entries=[lineage_messages.of_egress(row) for row in rows],
            next_page_token="" if following is None else str(following),
        )

    def _limits(self, run_id: str) -> Limits:
        """The limits of a run's configuration; none where the controller does not know the run."""
        run = self._store.find(run_id)
        return Limits() if run is None else limits_of(StopSection(**run.configuration["stop"]))


def _costs(request: pb.ReserveCostsRequest | pb.SettleCostsRequest) -> list[Cost]:
    _require_run_of_costs(request.run_id, len(request.costs))
    return [Cost(**{name: getattr(cost, name) for name in Cost.__dataclass_fields__}) for cost in request.costs]


def _require_run_of_costs(run_id: str, n_costs: int) -> None:
    if not run_id or len(run_id) > 200:
        raise InvalidArgument(
            "Costs belong to a run.", field="run_id", value=run_id, remedy="Name it: 1 to 200 characters."
        )
    if n_costs > _MAX_COSTS:
        raise InvalidArgument(
            f"At most {_MAX_COSTS} costs a request.", field="costs", value=n_costs, remedy="Send several requests."
        )


def _require_request_id(request_id: str) -> None:
    if not re.fullmatch(OPERATION_ID, request_id):
        raise InvalidArgument(
            "This is no id of a reservation.", field="request_id", value=request_id, remedy=OPERATION_ID_FORM
        )
