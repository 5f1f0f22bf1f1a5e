"""The ledger's entries for the work of operations: one each, under `compute/<operation id>`."""

from __future__ import annotations

from medq.operations.v1 import operations_pb2
from services.controller.domain.ledger import Cost, Limits
from services.controller.store.ledger import Ledger


def note_work(ledger: Ledger, run_id: str, operation_id: str) -> str:
    """Note that an operation works for a run, once an operation.

    Returns: The key of its cost.
    """
    key = f"compute/{operation_id}"
    ledger.reserve(run_id, [Cost(key, "compute")], Limits(), key)
    return key


def settle_work(ledger: Ledger, run_id: str, ended: operations_pb2.Operation | None) -> None:
    """Put the working time of an operation that has ended into the ledger; of none, nothing."""
    if ended is not None:
        # On record: ledger or service may have been restored, and what was done twice counts twice.
        cost = Cost(note_work(ledger, run_id, ended.operation_id), "compute", compute_seconds=ended.worked_seconds)
        ledger.settle(run_id, [cost], is_on_record=True)
