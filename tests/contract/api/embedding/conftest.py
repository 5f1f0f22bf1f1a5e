"""An embedding server for each test, and tiny encoders for those that ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from medq.embedding.v1 import embedding_pb2_grpc as pb_grpc
from services.embedding.main import build
from services.embedding.settings import EmbeddingSettings
from shared.events.sqlite import SqliteEventBus
from shared.objects.folder import FolderObjectStore
from shared.rpc.channels import Channels
from tests.support.embedding_server import Server
from tests.support.encoder_folders import save_clip, save_open_clip
from tests.support.servers import running, short_folder


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    encoders = request.getfixturevalue("folders") if "folders" in request.fixturenames else {}
    with short_folder() as folder:
        listen = f"unix:{folder}/e.sock"
        settings = EmbeddingSettings(state_folder=folder, listen=listen, batch_size=4, encoders=encoders, device="cpu")
        bus, objects = (SqliteEventBus(folder / "events.sqlite"), FolderObjectStore(folder / "objects", synced=False))
        with Channels({}) as channels:
            service = build(settings, channels, bus, objects)
            with running(service, bus, settings) as channel:
                yield Server(pb_grpc.EmbeddingServiceStub(channel), channel, bus, objects, folder)
        bus.close()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny encoders of random weights, and a folder that is none."""
    place = tmp_path_factory.mktemp("encoders")
    (place / "empty").mkdir()
    return {"tiny-clip": save_clip(place / "clip"), "tiny": save_open_clip(place / "tiny"), "none": place / "empty"}
