"""A real server with every RPC of the product, none of which does anything: one that is let through is UNIMPLEMENTED.

Its operations alone are real.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import StringIO
from pathlib import Path

import grpc
import pytest
import structlog
from google.protobuf.descriptor import MethodDescriptor

from shared.errors import MedqError
from shared.events.sqlite import SqliteEventBus
from shared.logs import configure_logs
from shared.objects.store import ObjectStore
from shared.operation_table import METADATA
from shared.operations import Operations
from shared.rpc.rights import Role
from shared.rpc.server import RunningServer, Service
from shared.rpc.tokens import entry_text, new_token
from shared.settings import ServiceSettings
from shared.status import from_rpc_error
from tests.support.databases import sqlite_database

GENERATED = Path(__file__).resolve().parents[2] / "shared" / "gen"


def product_methods() -> dict[str, MethodDescriptor]:
    """Every RPC of every proto, by its name on the wire."""
    found = {}
    for path in sorted(GENERATED.rglob("*_pb2.py")):
        module = importlib.import_module(".".join(path.relative_to(GENERATED).with_suffix("").parts))
        for service in module.DESCRIPTOR.services_by_name.values():
            found |= {f"/{service.full_name}/{method.name}": method for method in service.methods}
    return found


def _register(server: grpc.Server) -> None:
    for path in sorted(GENERATED.rglob("*_pb2_grpc.py")):
        module = importlib.import_module(".".join(path.relative_to(GENERATED).with_suffix("").parts))
        for name in [name for name in vars(module) if name.endswith("Servicer") and name[0] != "_"]:
            if not name.startswith(("add_", "Operations")):
                getattr(module, f"add_{name}_to_server")(getattr(module, name)(), server)
    new = {"Thing": grpc.unary_unary_rpc_method_handler(lambda request, context: request)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.New", new),))


@contextmanager
def guarded_server(folder: Path, objects: ObjectStore | None = None, **settings: object) -> Iterator[RunningServer]:
    """Serve on a free TCP port of this machine."""
    given = {"state_folder": folder, "listen": "127.0.0.1:0", "drain_seconds": 0.2, **settings}
    with sqlite_database(folder) as database, closing(SqliteEventBus(folder / "events.sqlite")) as bus:
        operations = Operations("guarded", database.engine(METADATA), {}, owner="one", lease_seconds=30)
        service = Service("guarded", "medq.controller.v1.ControllerService", _register, operations, objects=objects)
        server = RunningServer(service, bus, ServiceSettings(**given))
        server.start()
        try:
            yield server
        finally:
            server.drain()


def add_caller(tokens_file: Path, name: str, *roles: str, **more: object) -> str:
    """Append a caller to a list; gives the token."""
    token = new_token()
    text = entry_text(name, token, [Role(role) for role in roles], **more)
    before = tokens_file.read_text(encoding="utf-8") if tokens_file.exists() else ""
    replace(tokens_file, before + text)
    return token


def replace(path: Path, content: str) -> Path:
    """Write a file so that it appears whole, as a rotated secret does."""
    partial = path.with_suffix(".new")
    partial.write_text(content, encoding="utf-8")
    return partial.replace(path)


def call(channel: grpc.Channel, method: str, token: str = "", *, shape: str = "unary_unary") -> MedqError:
    """Call a method with an empty request; gives the typed error that it ended with."""
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    request = iter([b""]) if shape.startswith("stream") else b""
    with pytest.raises(grpc.RpcError) as caught:
        _answers(getattr(channel, shape)(method)(request, metadata=metadata, timeout=20))
    return from_rpc_error(caught.value)


def _answers(answer: object) -> None:
    """Take every response of a stream; one response is there already."""
    if isinstance(answer, grpc.Call):
        list(answer)


def code_of(channel: grpc.Channel, method: str, metadata: tuple[tuple[str, str], ...] = ()) -> grpc.StatusCode:
    """The status with which a unary call of an empty request ends."""
    try:
        channel.unary_unary(method)(b"", metadata=metadata, timeout=20)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@contextmanager
def audited(level: str = "ERROR") -> Iterator[StringIO]:
    """What is logged meanwhile, one JSON object a line."""
    lines = StringIO()
    configure_logs(level, lines)
    try:
        yield lines
    finally:
        structlog.reset_defaults()


def audit_lines(log: StringIO | Path) -> list[dict[str, object]]:
    """The lines of the audit log among all lines of a log."""
    text = log.read_text(encoding="utf-8") if isinstance(log, Path) else log.getvalue()
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in found if line.get("audit")]
