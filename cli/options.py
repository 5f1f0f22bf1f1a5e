"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Collection
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


def one_of(names: Collection[str]) -> Callable[[str], str]:
    """A parser of an option that is one of these names."""

    def parse(value: str) -> str:
        if value not in names:
            raise typer.BadParameter(f"{value!r} is none of {', '.join(names)}.")
        return value

    return parse
