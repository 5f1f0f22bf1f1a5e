"""Operations on one database, and a server of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.events.sqlite import SqliteEventBus
from shared.rpc.server import Service
from shared.settings import ServiceSettings
from tests.support.databases import Database
from tests.support.operation_part import Function, Part
from tests.support.servers import running, short_folder


@pytest.fixture
def part(database: Database) -> Iterator[Part]:
    with short_folder() as folder:
        yield Part(folder, database)


@pytest.fixture
def served(part: Part) -> Iterator[Callable[[Function], Any]]:
    """Serves a function; calls `running` lazily so that a test chooses the function."""
    bus = SqliteEventBus(part.folder / "events.sqlite")

    def serve(function: Function) -> Any:
        operations = part.operations(function)
        service = Service(
            "part", "medq.operations.v1.OperationsService", lambda _: None, operations, objects=part.objects
        )
        settings = ServiceSettings(
            state_folder=part.folder, listen=f"unix:{part.folder}/p.sock", drain_seconds=0.2, threads=4
        )
        return operations, running(service, bus, settings)

    yield serve
    bus.close()
