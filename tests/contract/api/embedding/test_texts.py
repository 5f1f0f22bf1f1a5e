"""Texts become unit vectors."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray

from medq.embedding.v1 import embedding_pb2 as pb
from services.embedding.adapters.statistics_encoder import StatisticsEncoder
from services.embedding.service import Embedding
from shared.errors import Cancelled, InvalidArgument
from shared.status import from_rpc_error
from tests.support.embedding_server import Server
from tests.support.encoders import EncodersHere


def test_texts_become_unit_vectors_and_too_many_are_refused(server: Server) -> None:
    answer = server.stub.EmbedTexts(pb.EmbedTextsRequest(texts=["Is there motion?", "Is there noise?", "?"]))
    vectors = np.frombuffer(answer.vectors, dtype="<f4").reshape(3, answer.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    for texts in ([], ["x"] * 513, [" "]):
        with pytest.raises(grpc.RpcError) as caught:
            server.stub.EmbedTexts(pb.EmbedTextsRequest(texts=texts))
        assert isinstance(from_rpc_error(caught.value), InvalidArgument)


def test_texts_are_embedded_no_further_than_somebody_waits() -> None:
    encoder, left = StatisticsEncoder(), iter([True, False])
    asked: list[int] = []

    class Counting:
        encoder_id = "counting-1"

        def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
            asked.append(len(texts))
            return encoder.embed_texts(texts)

    class Caller:
        def is_active(self) -> bool:
            return next(left)

    servicer = Embedding(None, EncodersHere(counting=Counting()), None, None, (), None)  # type: ignore[arg-type]
    with pytest.raises(Cancelled):
        servicer.EmbedTexts(pb.EmbedTextsRequest(texts=["?"] * 512), Caller())  # type: ignore[arg-type]
    assert sum(asked) < 512
