"""`medq costs`: the ledger of a run, entry by entry."""

from __future__ import annotations

from collections.abc import Iterator

from cli.access import Access
from cli.connection import connect
from cli.options import Json, Out, RunId
from cli.output import console, print_json, print_table, shown_errors
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from shared.rpc.as_json import to_json

_COLUMNS = ("key", "state", "kind", "US dollars", "tokens", "s of experts", "s of computers", "simulated")
#: Entries that a person is shown; all of them are in the JSON.
_MOST_SHOWN = 200


def costs(out: Out, *, run_id: RunId = "run", access: Access, is_json: Json = False) -> None:
    """Show what a run has cost, entry by entry, in the order of reservation; `medq report` has the sums."""
    with shown_errors(is_json), connect(out, access, may_start=False) as channels:
        stub = controller_pb2_grpc.ControllerServiceStub(channels["controller"])
        entries = list(_entries(stub, run_id))
    if is_json:
        print_json({"entries": [to_json(entry) for entry in entries]})
        return
    print_table("Costs", _COLUMNS, [_row(entry) for entry in entries[-_MOST_SHOWN:]])
    console.print(f"{len(entries)} entries; the last {min(len(entries), _MOST_SHOWN)} are shown.")


def _entries(stub: controller_pb2_grpc.ControllerServiceStub, run_id: str) -> Iterator[controller_pb2.LedgerEntry]:
    token = ""
    while True:
        page = stub.ListCosts(controller_pb2.ListCostsRequest(run_id=run_id, page_token=token))
        yield from page.entries
        token = page.next_page_token
        if not token:
            return


def _row(entry: controller_pb2.LedgerEntry) -> tuple[object, ...]:
    cost = entry.cost
    spent = (f"{cost.usd:.4f}", cost.tokens, f"{cost.expert_seconds:.0f}", f"{cost.compute_seconds:.0f}")
    return cost.key, entry.state, cost.kind, *spent, "yes" if cost.is_simulated else "no"
