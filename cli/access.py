"""How `medq --server` shows who it is and knows whom it calls: options, else the environment's `MEDQ_SERVER_...`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from cli.options import Server
from shared.rpc.channels import Credentials
from shared.settings import TlsSection


def _secured(text: str) -> Any:
    return typer.Option(help=text, rich_help_panel="With --server")


class Access(BaseSettings):
    """Whom a command calls, and as whom.

    A field that is annotated as an option is one of every command that takes an `Access` (see `with_access`); the environment
    gives what no option names.
    """

    model_config = SettingsConfigDict(env_prefix="MEDQ_SERVER_", frozen=True, extra="forbid")

    server: Server = ""
    tls_ca: Annotated[
        Path | None,
        _secured("Authority that signed the servers' certificates (PEM); TLS is spoken then. Else MEDQ_SERVER_TLS_CA."),
    ] = None
    tls_cert: Annotated[
        Path | None, _secured("Own certificate (PEM), for servers that require one. Else MEDQ_SERVER_TLS_CERT.")
    ] = None
    tls_key: Annotated[Path | None, _secured("Its private key (PEM). Else MEDQ_SERVER_TLS_KEY.")] = None
    token_file: Annotated[
        Path | None,
        _secured("File that holds your bearer token (`medq token` makes one). Else MEDQ_SERVER_TOKEN_FILE."),
    ] = None
    is_plaintext_token_allowed: bool = Field(
        False, description="Send the token to other machines without TLS too (a mesh encrypts)."
    )

    @property
    def credentials(self) -> Credentials:
        """With which the server and the services that it names are called."""
        tls = TlsSection(ca_file=self.tls_ca, certificate_file=self.tls_cert, key_file=self.tls_key)
        return Credentials(tls, self.token_file, self.is_plaintext_token_allowed)


_OPTIONS = [
    parameter
    for parameter in inspect.signature(Access).parameters.values()
    if get_origin(parameter.annotation) is Annotated
]


def with_access(command: Callable[..., None]) -> Callable[..., None]:
    """A command as Typer takes it: in the place of its parameter `access: Access` stand the options of that class.

    A command without that parameter is returned as it is.
    """
    signature = inspect.signature(command, eval_str=True)
    if "access" not in signature.parameters:
        return command

    @functools.wraps(command)
    def expanded(**given: Any) -> None:
        options = {option.name: given.pop(option.name) for option in _OPTIONS}
        # What no option names is left out, so that it is taken from the environment.
        access = Access(**{name: value for name, value in options.items() if value is not None})
        command(**given, access=access)

    parameters = signature.parameters.values()
    expanded.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[new for one in parameters for new in (_OPTIONS if one.name == "access" else [one])]
    )
    return expanded
