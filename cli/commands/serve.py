"""`medq serve`: the six services and their pages in one process, until a signal stops it."""

from __future__ import annotations

import getpass
import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from cli.connection import STATE
from cli.options import Json, Out
from cli.output import console, print_json, print_table, shown_errors
from shared.logs import configure_logs, log_uncaught_errors
from shared.rpc.channels import Channels
from shared.settings import SERVICES
from shared.stop_signals import StopSignals

#: Name of the file in the state folder that notes the port of the pages.
_PORT = "pages.port"
Pages = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        help="Where browsers find the pages, on this machine alone; port 0: a free one, kept for this folder; empty: nowhere.",
    ),
]


def serve(out: Out, pages: Pages = "127.0.0.1:0", is_json: Json = False) -> None:
    """Serve the six services on unix sockets, and pages for browsers; other commands with the same --out talk to them.

    The pages show the runs and let experts review. The address that is printed holds a token: whoever has it comes in.
    """
    stop = StopSignals()
    from services.embedded import Embedded

    with shown_errors(is_json), ExitStack() as stack:
        configure_logs("INFO")
        log_uncaught_errors()
        embedded = stack.enter_context(Embedded(out.resolve() / STATE))
        url = _serve_pages(stack, embedded.targets, pages, embedded.state_folder) if pages else ""
        if is_json:
            print_json({"targets": embedded.targets, "pages": url})
        else:
            rows = [(name, embedded.targets[name]) for name in SERVICES]
            print_table("Serving; stop with Ctrl-C", ("service", "target"), rows)
            if url:
                console.print(f"Pages: {url}", soft_wrap=True)
        stop.wait()
        console.print("Draining.")


def _serve_pages(stack: ExitStack, targets: dict[str, str], listen: str, state: Path) -> str:
    """Serve the pages until the stack is closed; on a free port they keep to the one that the state folder notes.

    Returns: The address that lets in whoever opens it.
    """
    from web.app import create_app
    from web.server import WebServer, address_of, bind_as_before
    from web.settings import WebSettings

    channels, token = stack.enter_context(Channels(targets)), secrets.token_urlsafe(24)
    bound = bind_as_before(listen, state / _PORT)
    settings = WebSettings(listen=address_of(bound), targets=targets)
    app = create_app(settings, channels, start_token=token, owner=getpass.getuser())
    stack.enter_context(WebServer(app, bound))
    return f"{settings.url}/login?token={token}"
