"""How a command reaches the services: those of `--server`, of a process that owns the folder, or of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import grpc

from cli.access import Access
from cli.diagnosis import why_no_connection
from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from shared.errors import DeadlineExceeded, FailedPrecondition, Unavailable
from shared.logs import logging_to
from shared.private_folder import require_private
from shared.rpc.channels import Channels, Credentials
from shared.rpc.ownership import is_owned
from shared.settings import runtime_folder, socket_targets
from shared.status import typed

#: Name of the state folder inside an output folder.
STATE = "state"
#: How long a server may take to answer at all; one that takes longer is named.
_FIRST_ANSWER_SECONDS = 4


@contextmanager
def connect(out: Path, access: Access, *, may_start: bool = True, must_exist: bool = False) -> Iterator[Channels]:
    """Channels to the six services.

    Args:
        out: The output folder; its `state` holds the embedded services' data.
        access: The controller that names the others, and the credentials for all; no server: embedded.
        may_start: When nobody owns the folder, start the six in this process; else its controller alone, for reading.
        must_exist: Start nothing in a folder that no command has worked in.

    Raises:
        FailedPrecondition: The folder has no runs to read, or the server wants to be called otherwise (TLS, its authority,
            a certificate), or another user could have made the sockets; the message says what to do.
    """
    if access.server:
        targets = _endpoints(access.server, access.credentials)
        with Channels({**targets, "controller": access.server}, access.credentials) as channels:
            yield channels
        return
    state = out.resolve() / STATE
    if is_owned(state):
        require_private(runtime_folder(state), "out")
        with Channels(socket_targets(state)) as channels:
            yield channels
        return
    if not may_start:
        from services.resting import resting

        with resting(state) as targets, Channels(targets) as channels:
            yield channels
        return
    if must_exist and not state.is_dir():
        raise FailedPrecondition(
            "No command has worked in this folder yet.",
            field="out",
            value=out.name,
            remedy="Name the folder that `medq run --out` was given.",
        )
    from services.embedded import Embedded

    with _log_in(out) as log, logging_to(log), Embedded(state) as embedded, Channels(embedded.targets) as channels:
        yield channels


def _log_in(out: Path) -> TextIO:
    """The log of a process that serves an output folder, which is made where it is missing."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        return (out / "medq.log").open("a", encoding="utf-8")
    except OSError as error:
        raise FailedPrecondition(
            f"The output folder cannot be written: {error.strerror}.",
            field="out",
            value=out,
            remedy="Free or repair it, or choose another one.",
        ) from None


def _endpoints(server: str, credentials: Credentials) -> dict[str, str]:
    """Where the services are, as the controller says."""
    with Channels({"controller": server}, credentials) as channels:
        stub = controller_pb2_grpc.ControllerServiceStub(channels["controller"])
        try:
            answer = stub.GetEndpoints(
                controller_pb2.GetEndpointsRequest(), timeout=_FIRST_ANSWER_SECONDS, wait_for_ready=False
            )
        except grpc.RpcError as error:
            known = typed(error)
            if not isinstance(known, Unavailable | DeadlineExceeded):
                raise
            raise why_no_connection(server, credentials.tls) or _silent(server) from None
        return dict(answer.targets)


def _silent(server: str) -> Unavailable:
    return Unavailable(
        "No controller answers at this address.",
        field="server",
        value=server,
        remedy="Does it run, and is it HOST:PORT of the controller?",
    )
