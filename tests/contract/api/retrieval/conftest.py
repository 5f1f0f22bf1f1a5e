"""A retrieval server for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from medq.retrieval.v1 import retrieval_pb2_grpc as pb_grpc
from services.retrieval.main import build
from services.retrieval.settings import RetrievalSettings
from shared.events.sqlite import SqliteEventBus
from shared.objects.folder import FolderObjectStore
from shared.rpc.channels import Channels
from tests.support.retrieval_server import Server
from tests.support.servers import running, short_folder


@pytest.fixture
def server() -> Iterator[Server]:
    with short_folder() as folder:
        settings = RetrievalSettings(state_folder=folder, listen=f"unix:{folder}/r.sock", batch_size=8)
        bus, objects = (SqliteEventBus(folder / "events.sqlite"), FolderObjectStore(folder / "objects", synced=False))
        with Channels({}) as channels:
            service = build(settings, channels, bus, objects)
            with running(service, bus, settings) as channel:
                yield Server(pb_grpc.RetrievalServiceStub(channel), channel, bus, objects, folder)
        bus.close()
