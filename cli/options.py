"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[
    Path,
    typer.Option(
        "--out",
        file_okay=False,
        help="Output folder; its `state` holds what the services remember. The same folder goes on where it was.",
    ),
]
Server = Annotated[
    str,
    typer.Option(
        help="HOST:PORT of a controller; it names the other services. Without it the six services run in this process."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON to standard output, nothing else.")]
RunId = Annotated[str, typer.Option(help="Name of the run.")]
