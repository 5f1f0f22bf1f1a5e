"""The real embedding server on a unix socket, called by its generated stub."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message

from medq.embedding.v1 import embedding_pb2 as pb
from medq.embedding.v1 import embedding_pb2_grpc as pb_grpc
from shared.errors import MedqError
from shared.events.bus import Event
from shared.events.sqlite import SqliteEventBus
from shared.objects.dataset import read_rows
from shared.objects.folder import FolderObjectStore
from shared.rows.images import Input
from shared.rpc.operations import await_operation
from shared.status import from_rpc_error


@dataclass
class Server:
    stub: pb_grpc.EmbeddingServiceStub
    channel: grpc.Channel
    bus: SqliteEventBus
    objects: FolderObjectStore
    folder: Path

    def ingest(self, source: Path | str, operation_id: str = "ingest", split: str = "pool", **rest: str) -> str:
        uri = source if isinstance(source, str) else str(source)
        request = pb.StartIngestRequest(operation_id=operation_id, source_uri=uri, split=split, **rest)
        self.stub.StartIngest(request)
        return await_operation(self.channel, operation_id).result_uri

    def report(self, uri: str) -> dict[str, dict[str, str]]:
        return {row.name: row for row in read_rows(self.objects, uri, Input)}

    def events(self, topic: str, n: int) -> list[Event]:
        """The first n events of a topic, waited for."""
        taken: list[Event] = []
        consumer = self.bus.consumer(f"test {topic}", {topic: taken.extend})
        while len(taken) < n and consumer.poll(5.0):
            pass
        consumer.close()
        return taken


def refused(server: Server, request: pb.StartIngestRequest) -> MedqError:
    return refused_by(server.stub.StartIngest, request)


def refused_by(method: Callable[[Message], object], request: Message) -> MedqError:
    with pytest.raises(grpc.RpcError) as caught:
        method(request)
    return from_rpc_error(caught.value)
