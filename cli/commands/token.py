"""`medq token`: a bearer token for a caller of a server."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.output import console, shown_errors
from shared.errors import AlreadyExists
from shared.rpc.rights import Role


def token(
    name: Annotated[str, typer.Argument(help="Who calls with it; the audit log names them so.")],
    role: Annotated[list[Role], typer.Option(help="What they may do; several are possible.")],
    token_file: Annotated[Path, typer.Option(dir_okay=False, help="New file for the token, readable by you alone.")],
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day on which it holds (UTC).")
    ] = None,
) -> None:
    """Make a bearer token, and print the entry that makes it valid at a server.

    The token itself goes into its file and nowhere else. The entry holds its digest; append it to the servers' list of callers:
    `medq token lab-console --role reader --token-file lab.token >> callers.yaml`, which MEDQ_<SERVICE>_AUTH__TOKENS_FILE names.
    They notice the change at once.
    """
    from shared.rpc.tokens import entry_text, new_token

    with shown_errors(is_json=False):
        secret = new_token()
        text = entry_text(name, secret, role, expires.date() if expires else None)
        try:
            handle = os.open(token_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            raise AlreadyExists(
                "The file is there already; a token in use is not overwritten.",
                field="token_file",
                value=token_file.name,
                remedy="Choose another file.",
            ) from None
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secret + "\n")
        typer.echo(text, nl=False)
        console.print(f"The token is in {token_file}; the entry for the servers' list of callers is above.")
