"""`medq report`: fetch a run's report."""

from __future__ import annotations

from cli.access import Access
from cli.commands.run import fetch_report, show_report
from cli.connection import STATE, connect
from cli.options import Json, Out, RunId
from cli.output import console, shown_errors
from shared.rpc.ownership import is_owned


def report(out: Out, *, run_id: RunId = "run", access: Access, is_json: Json = False) -> None:
    """Show the report of a run: whole when it has ended, before that as far as it has come."""
    with shown_errors(is_json):
        if access.server or is_owned(out / STATE) or not (out / "report.json").exists():
            with connect(out, access, may_start=False) as channels:
                if not fetch_report(channels["controller"], run_id, out):
                    console.print("The run has not ended; this is how far it is.")
        show_report(out, is_json)
