"""The review pages on a real queue: the oracle's servicer and store behind a server that asks who calls, and the web server."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from PIL import Image

from medq.embedding.v1.embedding_pb2 import StartIngestRequest
from medq.embedding.v1.embedding_pb2_grpc import EmbeddingServiceStub
from medq.oracle.v1.review_pb2_grpc import ReviewServiceStub, add_ReviewServiceServicer_to_server
from services.embedding.main import build
from services.embedding.settings import EmbeddingSettings
from services.oracle.domain.review import QueueEntry
from services.oracle.review_service import Reviews
from services.oracle.store.review_tables import METADATA, QueuedTask
from services.oracle.store.reviews import ReviewStore
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import read_rows
from shared.objects.folder import FolderObjectStore
from shared.operation_table import METADATA as OPERATIONS
from shared.operations import Operations
from shared.rows.images import Input
from shared.rpc.channels import Channels
from shared.rpc.operations import await_operation
from shared.rpc.rights import Role
from shared.rpc.server import RunningServer, Service
from shared.settings import ServiceSettings
from tests.support.databases import sqlite_database
from tests.support.guarded import add_caller
from tests.support.reviews import queue_entry
from web.app import create_app
from web.server import WebServer, address_of, bind
from web.settings import WebSettings

OPTIONS = {"A": "Motion", "B": "Ring artifact", "C": "Noise", "D": "Nothing, it is clean"}

START_TOKEN = "the token of this start"


class ReviewHouse:
    """A queue with tasks, and the pages on it.

    Attributes:
        queue: The queue itself, to look at what became of a click.
        url: Of the pages.
    """

    def __init__(self, folder: Path, stack: ExitStack, is_embedded: bool) -> None:
        self._folder, self._callers = folder, folder / "callers.yaml"
        self._stack = stack
        add_caller(self._callers, "nobody in particular", Role.READER)
        self.objects = FolderObjectStore(folder / "objects", synced=False)
        database = stack.enter_context(sqlite_database(folder))
        self.queue = ReviewStore(database.engine(METADATA))
        self._operations = Operations("oracle", database.engine(OPERATIONS), {}, owner="one", lease_seconds=30)
        self._bus = stack.enter_context(closing(SqliteEventBus(folder / "events.sqlite")))
        self._auth = {} if is_embedded else {"tokens_file": str(self._callers)}
        self.server: RunningServer | None = None
        self.start()
        stack.callback(self.stop)
        self._bound = bind("127.0.0.1:0")
        self._settings = WebSettings(listen=address_of(self._bound), auth=self._auth)
        self.url = self._settings.url
        self._channels = stack.enter_context(Channels({"oracle": f"unix:{folder}/o.sock"}))

    def start(self) -> None:
        """Have the oracle answer; again after `stop`, as its next process."""
        servicer = Reviews(self.queue, self.objects, lambda work_id, operation_id: None)
        name = "medq.oracle.v1.ReviewService"
        service = Service(
            "oracle",
            name,
            lambda server: add_ReviewServiceServicer_to_server(servicer, server),
            self._operations,
            objects=self.objects,
        )
        given: dict[str, Any] = {"listen": f"unix:{self._folder}/o.sock", "auth": self._auth, "drain_seconds": 0.2}
        self.server = RunningServer(service, self._bus, ServiceSettings(state_folder=self._folder, **given))
        self.server.start()

    def stop(self) -> None:
        """Stop the oracle; the pages go on."""
        if self.server is not None:
            self.server.drain()
            self.server = None

    def take_in(self, *files: bytes) -> list[str]:
        """Have an embedding service answer too, and take files of one image each in; gives the URIs of their pictures."""
        folder = self._folder / "files"
        folder.mkdir()
        for number, data in enumerate(files):
            (folder / f"{number:03d}").write_bytes(data)
        given: dict[str, Any] = {"listen": f"unix:{self._folder}/e.sock", "auth": self._auth, "drain_seconds": 0.2}
        settings = EmbeddingSettings(state_folder=self._folder / "embedding", readers=1, **given)
        service = build(settings, Channels({}), self._bus, self.objects)
        server = RunningServer(service, self._bus, settings)
        server.start()
        self._stack.callback(server.drain)
        self._channels.targets["embedding"] = server.target
        token = self.token("who takes in", Role.OPERATOR) if self._auth else ""
        channel = self._channels.with_token("embedding", lambda: token) if token else self._channels["embedding"]
        EmbeddingServiceStub(channel).StartIngest(
            StartIngestRequest(operation_id="in", source_uri=str(folder), split="pool")
        )
        rows = read_rows(self.objects, await_operation(channel, "in").result_uri, Input)
        return [f"sha256:{row.image_id}" for row in rows]

    def app(self) -> FastAPI:
        """The pages as an app."""
        if self._auth:
            return create_app(self._settings, self._channels)
        return create_app(self._settings, self._channels, start_token=START_TOKEN, owner="ann")

    def serve(self) -> FastAPI:
        """Have the pages answer to browsers."""
        app = self.app()
        self._stack.enter_context(WebServer(app, self._bound))
        return app

    def token(self, name: str, role: Role = Role.REVIEWER) -> str:
        """The token of a new caller."""
        return add_caller(self._callers, name, role)

    def stub(self, name: str, role: Role = Role.REVIEWER) -> ReviewServiceStub:
        """The queue itself, as a new caller has it."""
        token = self.token(name, role)
        return ReviewServiceStub(self._channels.with_token("oracle", lambda: token))

    def put(self, entries: list[QueueEntry]) -> None:
        """Queue tasks."""
        self.queue.put(entries, "op", "request")

    def put_choices(self, count: int, **changes: Any) -> list[QueueEntry]:
        """Queue tasks with options, each with an image of its own."""
        entries = [
            queue_entry(
                number,
                image_uri=self.picture(number),
                **{"options": OPTIONS, "proposal": "B", "reference_answer": "B", "self_answer": "C", **changes},
            )
            for number in range(count)
        ]
        self.put(entries)
        return entries

    def picture(self, number: int, side: int = 256) -> str:
        """The URI of a picture: rings, other ones for each number."""
        x, y = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]  # type: ignore[misc]
        radius = np.hypot(x / 0.9, y / 0.7)
        body = np.where(
            radius < 0.95, 70 + 25 * np.cos(40 * radius + number) + 60 * np.exp(-60 * ((x - 0.5) ** 2 + y**2)), 3
        )
        with io.BytesIO() as file:
            Image.fromarray(np.clip(body, 0, 255).astype(np.uint8)).save(file, "PNG")
            return self.objects.put_bytes(file.getvalue())

    def tasks(self) -> list[QueuedTask]:
        """All tasks as they stand in the database."""
        return self.queue.page("", "", 200, 0)[0]


@contextmanager
def review_house(folder: Path, is_embedded: bool = False) -> Iterator[ReviewHouse]:
    """The pages on an empty queue; embedded, the services ask nobody, and the pages let ann in who has `START_TOKEN`."""
    with ExitStack() as stack:
        yield ReviewHouse(folder, stack, is_embedded)
