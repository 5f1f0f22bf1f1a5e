"""Images come into the index by a call or by an event."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

from medq.embedding.v1 import events_pb2
from medq.retrieval.v1 import retrieval_pb2 as pb
from shared.events.bus import Event, topic_of
from shared.rpc.operations import await_operation
from tests.support.retrieval_server import Server, vector_of


def test_indexing_an_image_set_twice_holds_each_image_once(server: Server) -> None:
    uri = server.image_set(range(20))
    for operation_id in ("one", "two"):
        server.stub.StartIndexImages(pb.StartIndexImagesRequest(operation_id=operation_id, image_set_uri=uri))
        assert await_operation(server.channel, operation_id).result_uri == uri
    pool = server.stub.GetPool(pb.GetPoolRequest())
    assert (pool.n_images, dict(pool.n_by_split)) == (20, {"pool": 20})


def test_an_embedded_image_is_indexed_by_its_event(server: Server) -> None:
    vector = vector_of(1, 0)
    message = events_pb2.ImageEmbedded(
        image_id=f"{1:064x}", split="pool", encoder_id="e", vector=vector.tobytes(), modality="mri", phash="0" * 16
    )
    event = Event(
        "1",
        topic_of(events_pb2.ImageEmbedded),
        "test",
        message.image_id,
        message.SerializeToString(),
        datetime.now(UTC),
    )
    server.bus.publish([event])
    pause, deadline = threading.Event(), time.monotonic() + 20
    while not server.stub.GetPool(pb.GetPoolRequest()).n_images and time.monotonic() < deadline:
        pause.wait(0.02)
    found = server.stub.SearchSimilar(pb.SearchSimilarRequest(vector=vector.tolist(), limit=3, modality="mri"))
    assert [image.image_id for image in found.images] == [message.image_id]
    assert found.images[0].similarity == pytest.approx(1.0, abs=1e-5)
