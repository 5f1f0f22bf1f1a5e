"""`medq audit verify`: whether the log of the experts' queue is as it was written."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.access import Access
from cli.connection import connect
from cli.options import Json, Out
from cli.output import FAILED, console, print_json, shown_errors
from medq.oracle.v1 import review_pb2 as pb
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub
from shared.errors import InvalidArgument


def verify_audit(
    out: Out,
    *,
    noted: Annotated[
        str, typer.Option(metavar="N:HASH", help="An entry as this command told it before: it must stand there still.")
    ] = "",
    access: Access,
    is_json: Json = False,
) -> None:
    """Compute the chain of hashes over all decisions again; the first entry that was changed, removed or moved is named."""
    with shown_errors(is_json):
        request = _request(noted)
        with connect(out, access, must_exist=True) as channels:
            found = ReviewServiceStub(channels["oracle"]).VerifyReviewLog(request)
    head = f"{found.sequence}:{found.hash}"
    if is_json:
        print_json({"is_whole": not found.fault, "entries": found.sequence, "head": head, "fault": found.fault})
    else:
        console.print(f"{found.sequence} entries are in order. The last one: {head}")
        console.print(found.fault or "Note it elsewhere: it stands for all entries up to it.")
    if found.fault:
        raise typer.Exit(FAILED)


def _request(noted: str) -> pb.VerifyReviewLogRequest:
    number, _, hash_ = noted.partition(":")
    if noted and not (number.isdecimal() and len(number) <= 18 and hash_):
        raise InvalidArgument(
            "This names no entry.", field="noted", value=noted[:80], remedy="Give N:HASH as the command told it."
        )
    return pb.VerifyReviewLogRequest(noted_sequence=int(number or 0), noted_hash=hash_)
