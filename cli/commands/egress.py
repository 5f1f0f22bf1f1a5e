"""`medq egress list`: what was sent to endpoints outside, and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli.access import Access
from cli.connection import connect
from cli.options import Json, Out
from cli.output import console, print_json, print_table, shown_errors
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from shared.rpc.as_json import to_json

#: What matters first, so that it fits 80 columns; the rest is in the JSON.
_COLUMNS = ("when (UTC)", "sent to", "for", "run", "what", "bytes")
#: Rows that a person is shown; all of them are in the JSON.
_MOST_SHOWN = 200
#: Digits of a digest that tell it from the others at a look.
_SHOWN_DIGITS = 8


def list_egress(
    out: Out,
    *,
    access: Access,
    run: Annotated[str, typer.Option(help="Only what left for this run.")] = "",
    is_json: Json = False,
) -> None:
    """Show what left the site: a row for each try and image, written before it was sent."""
    with shown_errors(is_json), connect(out, access, may_start=False) as channels:
        stub = controller_pb2_grpc.ControllerServiceStub(channels["controller"])
        entries = list(_entries(stub, run))
    if is_json:
        print_json({"egress": [_as_json(entry) for entry in entries]})
        return
    print_table("Egress", _COLUMNS, [_row(entry) for entry in entries[-_MOST_SHOWN:]])
    n_bytes = sum(entry.egress.n_bytes for entry in entries)
    console.print(f"{len(entries)} rows, {n_bytes:,} bytes; the last {min(len(entries), _MOST_SHOWN)} are shown.")
    console.print("--json shows all, with endpoint, model, whole digests and the key of the cost.")


def _entries(stub: controller_pb2_grpc.ControllerServiceStub, run_id: str) -> Iterator[controller_pb2.EgressEntry]:
    token = ""
    while True:
        page = stub.ListEgress(controller_pb2.ListEgressRequest(run_id=run_id, page_token=token))
        yield from page.entries
        token = page.next_page_token
        if not token:
            return


def _row(entry: controller_pb2.EgressEntry) -> tuple[object, ...]:
    left = entry.egress
    when = entry.time.ToDatetime().isoformat(" ", "minutes")
    what = f"image {left.image_id[:_SHOWN_DIGITS]}" if left.image_id else "text alone"
    return when, left.host, left.purpose, entry.run_id or "-", what, f"{left.n_bytes:,}"


def _as_json(entry: controller_pb2.EgressEntry) -> dict[str, Any]:
    whole = to_json(entry)
    return {**whole.pop("egress"), **whole, "n_bytes": entry.egress.n_bytes}
