"""`medq report`: fetch a run's report."""

from __future__ import annotations

from cli.commands.run import fetch_report, show_report
from cli.connection import STATE, connect
from cli.options import Json, Out, RunId, Server, TlsCa, TlsCert, TlsKey, TokenFile
from cli.output import console, shown_errors
from cli.server_settings import server_credentials
from shared.rpc.ownership import is_owned


def report(
    out: Out,
    run_id: RunId = "run",
    server: Server = "",
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    token_file: TokenFile = None,
    is_json: Json = False,
) -> None:
    """Show the report of a run: whole when it has ended, as far as it has come while it runs."""
    with shown_errors(is_json):
        if server or is_owned(out / STATE) or not (out / "report.json").exists():
            with connect(
                out, server, server_credentials(tls_ca, tls_cert, tls_key, token_file), may_start=False
            ) as channels:
                if not fetch_report(channels["controller"], run_id, out):
                    console.print("The run goes on; this is how far it is.")
        show_report(out, is_json)
