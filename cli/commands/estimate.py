"""`medq estimate`: what a run will cost, before anything is spent."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from cli.access import Access
from cli.commands.run import read_config
from cli.connection import connect
from cli.estimates import estimate_of, show_estimate
from cli.options import Json
from cli.output import print_json, shown_errors
from shared.rpc.as_json import to_json


def estimate(
    config: Annotated[
        Path, typer.Option("--config", exists=True, dir_okay=False, help="The YAML of the run: docs/configuration.md.")
    ],
    *,
    access: Access,
    is_json: Json = False,
) -> None:
    """Estimate calls, tokens, US dollars and expert hours of a run, by round, from its file and the prices of the site."""
    with shown_errors(is_json), TemporaryDirectory(prefix="medq-") as folder, connect(Path(folder), access) as channels:
        found = estimate_of(channels["controller"], read_config(config), config.resolve().parent)
        if is_json:
            print_json(to_json(found))
        else:
            show_estimate(found)
