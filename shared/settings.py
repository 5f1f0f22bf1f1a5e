"""Settings that every service has, read once in `main` from the environment; nothing else reads it.

A service's own class derives from `ServiceSettings` and sets its prefix: `MEDQ_RETRIEVAL_LISTEN=...`. A section's fields follow
two underscores: `MEDQ_RETRIEVAL_KAFKA__BOOTSTRAP=...`. Every default is the embedded form: no server, no network.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.private_folder import is_private

#: The six services, in the order in which an image passes them.
SERVICES = ("embedding", "retrieval", "evaluation", "oracle", "training", "controller")
#: Longest path of a unix socket on Linux, in bytes, with the end mark left out.
MAX_SOCKET_PATH = 107
#: The variable that names the file of the site's endpoints, for all services.
ENDPOINTS = "MEDQ_ENDPOINTS"
_LONGEST_SOCKET_NAME = len("/evaluation.health.sock")


class Section(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KafkaSection(Section):
    """The event bus on Apache Kafka."""

    bootstrap: str = Field("", description="host:port[,host:port]; empty: a SQLite log in the state folder.")
    security_protocol: str = Field(
        "PLAINTEXT", pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$", description="How brokers are spoken to."
    )
    sasl_mechanism: str = Field("SCRAM-SHA-512", description="Where the protocol is SASL_...")
    username: str = Field("", description="SASL user.")
    password: SecretStr = Field(SecretStr(""), description="SASL password.")
    ca_file: Path | None = Field(None, description="Authority that signed the brokers' certificates (PEM).")
    partitions: int = Field(4, ge=1, description="Partitions of a topic that is made here.")
    replication: int = Field(1, ge=1, description="Replicas of a topic that is made here.")
    call_seconds: float = Field(10.0, ge=1, description="Deadline of one request; a publication has twice as long.")
    session_seconds: float = Field(
        45.0, ge=1, description="After so long without a sign of life a member's partitions go to another."
    )
    handler_seconds: float = Field(
        300.0,
        ge=1,
        description="After so long a member that neither polls nor gives a partition back loses its partitions.",
    )
    topic_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="Put before every topic and group, where installations share a cluster.",
    )


class S3Section(Section):
    """The object store on any S3 endpoint."""

    endpoint: str = Field("", description="http(s)://host:port; empty: a folder in the state folder.")
    bucket: str = Field("medq", min_length=3, description="Bucket; made where it is missing and may be.")
    prefix: str = Field("", description="Put before every object's key.")
    access_key: str = Field("", description="Access key.")
    secret_key: SecretStr = Field(SecretStr(""), description="Secret key.")
    region: str = Field("us-east-1", description="Region that requests are signed for.")
    ca_file: Path | None = Field(None, description="Authority that signed the endpoint's certificate (PEM).")
    timeout_seconds: float = Field(20.0, gt=0, description="A connection that is silent for so long is given up.")
    retries: int = Field(5, ge=0, le=20, description="How often a request is made anew, with growing pauses.")


class TlsSection(Section):
    """TLS of the gRPC port and of the calls to other services."""

    certificate_file: Path | None = Field(None, description="Own certificate chain (PEM); empty: no TLS.")
    key_file: Path | None = Field(None, description="Its private key (PEM).")
    ca_file: Path | None = Field(
        None, description="Authority of the other side: servers that are called, clients that call (PEM)."
    )
    is_client_certificate_required: bool = Field(False, description="Refuse callers without one (mTLS).")


class AuthSection(Section):
    """Who may call what: docs/security.md. Without any of the first three fields every caller may call everything."""

    tokens_file: Path | None = Field(None, description="Callers by static token or certificate (YAML).")
    oidc_issuer: str = Field("", description="Issuer of the JWTs that are accepted.")
    jwks_file: Path | None = Field(None, description="The issuer's public keys; else they are fetched from it.")
    issuer_ca_file: Path | None = Field(
        None, description="Authority of the issuer's certificate (PEM); empty: the system's."
    )
    oidc_audience: str = Field("medq", description="Audience that a JWT must name.")
    roles_claim: str = Field(
        "roles", description="Claim of a JWT that lists roles; 'realm_access.roles' reaches into a claim."
    )
    leeway_seconds: float = Field(30.0, ge=0, le=300, description="How far clocks may stand apart.")
    token_file: Path | None = Field(None, description="The bearer token that this service calls others with.")
    is_plaintext_token_allowed: bool = Field(
        False, description="Send the token to other machines without TLS too (a mesh encrypts)."
    )


class ServiceSettings(BaseSettings):
    """What a server needs to run, whichever service it is."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_nested_delimiter="__", hide_input_in_errors=True)

    state_folder: Path = Field(Path("medq-state"), description="Folder for databases, objects and the event log.")
    listen: str = Field("127.0.0.1:0", description="gRPC target to serve on: host:port or unix:/path.")
    health_listen: str = Field("", description="gRPC target of the health service; empty: next to `listen`.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics; 0 serves none.")
    targets: dict[str, str] = Field(
        default_factory=dict, description="gRPC targets of the other services by name, as JSON."
    )
    threads: int = Field(16, ge=4, le=256, description="Threads that answer calls.")
    stream_seconds: float = Field(600.0, gt=0, description="How long a stream, such as a download, may take in all.")
    stream_idle_seconds: float = Field(
        60.0, gt=0, description="After so long in which its caller took nothing of it, a stream is ended."
    )
    drain_seconds: float = Field(20.0, ge=0, description="How long calls in flight may take after SIGTERM.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged.")
    is_reflection_on: bool = Field(True, description="Serve gRPC reflection.")
    owner: str = Field(
        "", description="Stable name of this process for leases, another for each replica; empty: the service's name."
    )
    lease_seconds: float = Field(
        30.0,
        ge=1,
        description="After so long without a sign of life another replica takes up what this one had in hand.",
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        description="postgresql://user:password@host/database, a schema per service; empty: SQLite files in the state folder.",
    )
    kafka: KafkaSection = Field(default_factory=KafkaSection, description="The event bus.")
    s3: S3Section = Field(default_factory=S3Section, description="The object store.")
    tls: TlsSection = Field(default_factory=TlsSection, description="TLS.")
    auth: AuthSection = Field(default_factory=AuthSection, description="Callers and their rights.")
    otlp_endpoint: str = Field(
        "", description="host:port that traces are sent to by OTLP over gRPC; empty: none are made."
    )


class InputSettings(ServiceSettings):
    """What a service needs that reads files whose paths callers name."""

    input_roots: tuple[Path, ...] = Field(
        (),
        description="Folders in which the paths that callers name must lie, as JSON; empty: anywhere where `listen` is a "
        "unix socket or a loopback address, else nowhere.",
    )


def _endpoints_of_all() -> Path | None:
    """The file that all services share where none is set for one alone."""
    named = os.environ.get(ENDPOINTS)
    return Path(named) if named else None


class EndpointSettings(ServiceSettings):
    """What a service needs that asks the endpoints of the site, or looks whether they may be asked."""

    endpoints: Path | None = Field(
        default_factory=_endpoints_of_all,
        description="File of the endpoints of the site (YAML); empty: the one that MEDQ_ENDPOINTS names for all services.",
    )


def environment_of(settings: type[BaseSettings], **values: Any) -> dict[str, str]:
    """The environment from which a process reads these values: the one place that names its variables.

    Args:
        settings: The class that will read them.
        values: Field to value. Of a section counts what was set; None leaves a field as it is by default.

    Raises:
        TypeError: The class has no such field.
    """
    flat: dict[str, Any] = {}
    for field, value in values.items():
        if field not in settings.model_fields:
            raise TypeError(
                f"{settings.__name__} has no field {field!r}; pydantic would pass over its variable in silence."
            )
        if isinstance(value, Section):
            fields = [name for name in type(value).model_fields if name in value.model_fields_set]
            flat |= {f"{field}__{name}": getattr(value, name) for name in fields}
        else:
            flat[field] = value
    prefix = settings.model_config["env_prefix"]
    return {prefix + name.upper(): _text(value) for name, value in flat.items() if value is not None}


def _text(value: Any) -> str:
    """A value as pydantic-settings reads it from a variable."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def runtime_folder(state_folder: Path) -> Path:
    """The short folder in which the sockets of a state folder lie, named by a digest of its path and made by who serves.

    It lies in `XDG_RUNTIME_DIR`, where that is this user's alone; else in the folder of temporary files, where everybody may
    make it beforehand: both sides look whose it is (`shared.private_folder`). A socket path is limited to 107 bytes, and a
    state folder may be deep.
    """
    digest = hashlib.sha256(str(state_folder.resolve()).encode()).hexdigest()[:12]
    # Without the variable (a shell of `su`, a cron job) it is looked for where it is usually made.
    named = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    own = Path(named) / f"medq-{digest}"
    is_short = len(os.fsencode(own)) + _LONGEST_SOCKET_NAME <= MAX_SOCKET_PATH
    if os.path.isabs(named) and is_short and is_private(Path(named)):
        return own
    return Path(tempfile.gettempdir()) / f"medq-{os.geteuid()}-{digest}"


def socket_targets(state_folder: Path) -> dict[str, str]:
    """Where the embedded services of a state folder listen: service name to gRPC target."""
    return {name: f"unix:{runtime_folder(state_folder) / name}.sock" for name in SERVICES}
