"""`medq demo`: three rounds of the loop on phantoms beside random drawing, with nothing to bring along."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.access import Access
from cli.commands.run import follow_to_report, show_report
from cli.connection import connect
from cli.follow import Watch
from cli.options import Json, Out, RunId, Server
from cli.output import shown_errors


def demo(
    out: Out,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the phantoms and the run.")] = 0,
    run_id: RunId = "run",
    server: Server = "",
    is_json: Json = False,
) -> None:
    """Draw phantoms by seed, improve a tiny model by its failures in three rounds, beside random drawing; write report.html.

    Phantoms, oracle and expert are simulated; the model, its training and every score are real. The base model comes with the
    program. On two cores it takes some ten minutes.
    """
    from studies.demo import prepare

    with shown_errors(is_json):
        with Watch(is_quiet=is_json).shown() as watch:
            config = prepare(out / "study", seed, watch.count)
        with connect(out, Access(server=server)) as channels:
            follow_to_report(channels, config, run_id, out, is_quiet=is_json)
        show_report(out, is_json)
