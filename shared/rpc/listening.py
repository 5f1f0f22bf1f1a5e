"""Where a server listens: a TCP port, or a unix socket in a folder that is this user's alone."""

from __future__ import annotations

from pathlib import Path

import grpc

from shared.errors import FailedPrecondition, InvalidArgument
from shared.settings import MAX_SOCKET_PATH


def beside(listen: str) -> str:
    """Where health is served when no setting says: the socket with another ending, or a port that is free."""
    if listen.startswith("unix:"):
        return listen.removesuffix(".sock") + ".health.sock"
    return listen.rsplit(":", 1)[0] + ":0"


def bind(server: grpc.Server, target: str, credentials: grpc.ServerCredentials | None = None) -> str:
    """Bind a server to a target; on a unix socket, which does not leave the machine, without TLS.

    Returns: The target with the port it got.

    Raises:
        FailedPrecondition: The address is taken, or the folder of the socket is not this user's alone.
        InvalidArgument: The path of a unix socket is too long.
    """
    path = target.removeprefix("unix:")
    if path != target:
        if len(path.encode()) > MAX_SOCKET_PATH:
            raise InvalidArgument(
                f"A socket path may have {MAX_SOCKET_PATH} bytes.",
                field="listen",
                value=target,
                remedy="Use a shorter folder.",
            )
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if credentials is None or path != target:
            port = server.add_insecure_port(target)
        else:
            port = server.add_secure_port(target, credentials)
    except RuntimeError as error:
        raise FailedPrecondition(
            "The address cannot be bound.", field="listen", value=target, remedy="Is it taken? Choose another."
        ) from error
    return target if path != target else f"{target.rsplit(':', 1)[0]}:{port}"
