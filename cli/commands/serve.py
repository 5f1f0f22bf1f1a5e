"""`medq serve`: the six services in one process, until a signal stops it."""

from __future__ import annotations

import signal
import threading

from cli.connection import STATE
from cli.options import Json, Out
from cli.output import console, print_json, print_table, shown_errors
from shared.logs import configure_logs, log_uncaught_errors
from shared.settings import SERVICES


def serve(out: Out, is_json: Json = False) -> None:
    """Serve the six services on unix sockets; other commands with the same --out talk to them."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    from services.embedded import Embedded

    with shown_errors(is_json):
        configure_logs("INFO")
        log_uncaught_errors()
        with Embedded(out.resolve() / STATE) as embedded:
            if is_json:
                print_json({"targets": embedded.targets})
            else:
                rows = [(name, embedded.targets[name]) for name in SERVICES]
                print_table("Serving; stop with Ctrl-C", ("service", "target"), rows)
            stop.wait()
            console.print("Draining.")
