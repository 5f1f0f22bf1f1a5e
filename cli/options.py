"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_ACCESS = "With --server"

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
TlsCa = Annotated[
    Path | None,
    typer.Option(
        help="Authority that signed the servers' certificates (PEM); TLS is spoken then. Else MEDQ_SERVER_TLS_CA.",
        rich_help_panel=_ACCESS,
    ),
]
TlsCert = Annotated[
    Path | None,
    typer.Option(
        help="Own certificate (PEM), for servers that require one. Else MEDQ_SERVER_TLS_CERT.",
        rich_help_panel=_ACCESS,
    ),
]
TlsKey = Annotated[
    Path | None,
    typer.Option(help="Its private key (PEM). Else MEDQ_SERVER_TLS_KEY.", rich_help_panel=_ACCESS),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        help="File that holds your bearer token (`medq token` makes one). Else MEDQ_SERVER_TOKEN_FILE.",
        rich_help_panel=_ACCESS,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Write the result as JSON to standard output, nothing else.")
]
RunId = Annotated[str, typer.Option(help="Name of the run.")]
