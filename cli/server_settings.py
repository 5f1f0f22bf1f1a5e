"""How `medq --server` shows who it is and knows whom it calls: options, else the environment's `MEDQ_SERVER_...`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.rpc.channels import Credentials
from shared.settings import TlsSection


class ServerSettings(BaseSettings):
    """What a command needs to call services that are not its own."""

    model_config = SettingsConfigDict(env_prefix="MEDQ_SERVER_", frozen=True, extra="forbid")

    tls_ca: Path | None = Field(None, description="Authority of the servers' certificates (PEM).")
    tls_cert: Path | None = Field(None, description="Own certificate, for servers that require one (PEM).")
    tls_key: Path | None = Field(None, description="Its private key (PEM).")
    token_file: Path | None = Field(None, description="File that holds the bearer token.")
    is_plaintext_token_allowed: bool = Field(
        False, description="Send the token to other machines without TLS too (a mesh encrypts)."
    )


def server_credentials(
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    token_file: Path | None = None,
) -> Credentials:
    """The credentials that options name; what no option names is taken from the environment."""
    options = {"tls_ca": tls_ca, "tls_cert": tls_cert, "tls_key": tls_key, "token_file": token_file}
    given = ServerSettings().model_copy(update={name: path for name, path in options.items() if path})
    tls = TlsSection(ca_file=given.tls_ca, certificate_file=given.tls_cert, key_file=given.tls_key)
    return Credentials(tls, given.token_file, given.is_plaintext_token_allowed)
