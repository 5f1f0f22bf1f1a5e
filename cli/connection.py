"""How a command reaches the services: those of `--server`, those of a process that owns the folder, or six in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medq.controller.v1 import controller_pb2, controller_pb2_grpc
from shared.errors import FailedPrecondition
from shared.logs import configure_logs
from shared.rpc.channels import Channels
from shared.rpc.ownership import is_owned
from shared.settings import socket_targets

#: Name of the state folder inside an output folder.
STATE = "state"


@contextmanager
def connect(out: Path, server: str = "", *, may_start: bool = True) -> Iterator[Channels]:
    """Channels to the six services.

    Args:
        out: The output folder; its `state` holds the embedded services' data.
        server: The controller's address; it names the others. Empty: embedded.
        may_start: Start the embedded services in this process when nobody owns the folder.

    Raises:
        FailedPrecondition: Nobody owns the folder and the services may not be started.
    """
    if server:
        with Channels({"controller": server}) as known:
            stub = controller_pb2_grpc.ControllerServiceStub(known["controller"])
            targets = dict(stub.GetEndpoints(controller_pb2.GetEndpointsRequest()).targets)
        with Channels({**targets, "controller": server}) as channels:
            yield channels
        return
    state = out.resolve() / STATE
    if is_owned(state):
        with Channels(socket_targets(state)) as channels:
            yield channels
        return
    if not may_start:
        raise FailedPrecondition(
            "No process works on this folder.",
            field="out",
            value=out.name,
            remedy="Start or continue with `medq run --config FILE --out FOLDER`, or `medq serve --out FOLDER`.",
        )
    from services.embedded import Embedded

    out.mkdir(parents=True, exist_ok=True)
    with (out / "medq.log").open("a", encoding="utf-8") as log:
        configure_logs("INFO", log)
        with Embedded(state) as embedded, Channels(embedded.targets) as channels:
            yield channels
