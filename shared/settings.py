"""Settings that every service has, read once in `main` from the environment; nothing else reads it.

A service's own class derives from `ServiceSettings` and sets its prefix: `MEDQ_RETRIEVAL_LISTEN=...`.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

#: The six services, in the order in which an image passes them.
SERVICES = ("embedding", "retrieval", "evaluation", "oracle", "training", "controller")
#: Longest path of a unix socket on Linux, in bytes, with the end mark left out.
MAX_SOCKET_PATH = 107


class ServiceSettings(BaseSettings):
    """What a server needs to run, whichever service it is."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_nested_delimiter="__")

    state_folder: Path = Field(
        Path("medq-state"), description="Folder for databases, objects and the event log."
    )
    listen: str = Field("127.0.0.1:0", description="gRPC target to serve on: host:port or unix:/path.")
    health_listen: str = Field("", description="gRPC target of the health service; empty: next to `listen`.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of /metrics; 0 serves none.")
    targets: dict[str, str] = Field(
        default_factory=dict, description="gRPC targets of the other services by name, as JSON."
    )
    threads: int = Field(16, ge=4, le=256, description="Threads that answer calls.")
    drain_seconds: float = Field(20.0, ge=0, description="How long calls in flight may take after SIGTERM.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level logged.")
    is_reflection_on: bool = Field(True, description="Serve gRPC reflection.")
    owner: str = Field("", description="Stable name of this process for leases; empty: the service's name.")


def runtime_folder(state_folder: Path) -> Path:
    """The short folder in which the sockets of a state folder lie, named by a digest of its path.

    A socket path is limited to 107 bytes, and a state folder may be deep.
    """
    digest = hashlib.sha256(str(state_folder.resolve()).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"medq-{digest}"


def socket_targets(state_folder: Path) -> dict[str, str]:
    """Where the embedded services of a state folder listen: service name to gRPC target."""
    return {name: f"unix:{runtime_folder(state_folder) / name}.sock" for name in SERVICES}
