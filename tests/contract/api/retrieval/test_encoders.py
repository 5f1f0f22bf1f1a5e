"""One index an encoder, and which of them serves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from medq.retrieval.v1 import retrieval_pb2 as pb
from shared.errors import FailedPrecondition, NotFound
from tests.support.retrieval_server import Server, ids, nearest, refused, vector_of


def test_a_pool_embedded_anew_serves_from_the_switch_on_and_not_before(server: Server) -> None:
    server.index(server.image_set(range(10), encoder="old-1"))
    old = nearest(server)
    assert (old.encoder_id, len(old.images)) == ("old-1", 10)
    server.index(server.image_set(range(10, 16), encoder="new-1"))  # a part of it
    assert nearest(server) == old
    assert nearest(server, "old-1") == old
    wrong = refused(
        server.stub.SearchSimilar, pb.SearchSimilarRequest(vector=vector_of(0, 0), limit=1, encoder_id="new-1")
    )
    assert isinstance(wrong, FailedPrecondition)
    assert "old-1" in wrong.remedy
    early = refused(server.stub.SwitchEncoder, pb.SwitchEncoderRequest(encoder_id="new-1"))
    assert "6 of 10 images of the split pool" in early.message
    server.index(server.image_set(range(10, 20), near=range(10, 20), encoder="new-1"))
    pool = server.stub.GetPool(pb.GetPoolRequest(encoder_id="new-1"))
    assert (pool.n_images, pool.serving_encoder_id, list(pool.encoder_ids)) == (10, "old-1", ["new-1", "old-1"])
    assert nearest(server) == old
    assert server.stub.SwitchEncoder(pb.SwitchEncoderRequest(encoder_id="new-1")).previous_encoder_id == "old-1"
    new = nearest(server)
    assert new.encoder_id == "new-1"
    assert {int(image.image_id, 16) for image in new.images} == set(range(10, 20))
    assert isinstance(
        refused(
            server.stub.SearchSimilar, pb.SearchSimilarRequest(vector=vector_of(0, 0), limit=1, encoder_id="old-1")
        ),
        FailedPrecondition,
    )
    assert server.stub.SwitchEncoder(pb.SwitchEncoderRequest(encoder_id="new-1")).previous_encoder_id == "new-1"


def test_no_search_sees_two_encoders_while_somebody_switches(server: Server) -> None:
    server.index(server.image_set(range(10), encoder="old-1"))
    server.index(server.image_set(range(10, 20), encoder="new-1"))
    of_encoder = {"old-1": set(range(10)), "new-1": set(range(10, 20))}
    with ThreadPoolExecutor(3) as threads:
        searches = [threads.submit(lambda: [nearest(server) for _ in range(40)]) for _ in range(2)]
        for turn in range(20):
            server.stub.SwitchEncoder(pb.SwitchEncoderRequest(encoder_id=("new-1", "old-1")[turn % 2]))
        answers = [answer for search in searches for answer in search.result()]
    for answer in answers:
        assert {int(image.image_id, 16) for image in answer.images} == of_encoder[answer.encoder_id]


def test_an_encoder_without_an_index_cannot_serve(server: Server) -> None:
    error = refused(server.stub.SwitchEncoder, pb.SwitchEncoderRequest(encoder_id="new-1"))
    assert isinstance(error, NotFound)
    assert isinstance(refused(server.stub.GetPool, pb.GetPoolRequest(encoder_id="new-1")), NotFound)
    assert server.stub.GetPool(pb.GetPoolRequest()) == pb.GetPoolResponse()


def test_a_smaller_index_serves_only_where_that_is_allowed(server: Server) -> None:
    server.index(server.image_set(range(10), encoder="old-1"))
    server.index(server.image_set(range(5), encoder="new-1"))
    assert isinstance(
        refused(server.stub.SwitchEncoder, pb.SwitchEncoderRequest(encoder_id="new-1")), FailedPrecondition
    )
    server.stub.SwitchEncoder(pb.SwitchEncoderRequest(encoder_id="new-1", is_smaller_allowed=True))
    assert nearest(server).encoder_id == "new-1"


@pytest.mark.parametrize("strategy", [pb.STRATEGY_FAILURE_DRIVEN, pb.STRATEGY_FAILURE_CONTRAST])
def test_failures_and_pool_of_two_encoders_are_refused(server: Server, strategy: pb.Strategy) -> None:
    pool, failures = server.image_set(range(5), encoder="new-1"), server.failures(encoder="old-1")
    with pytest.raises(FailedPrecondition, match="new-1, old-1"):
        server.select(pool_uris=[pool], failures_uri=failures, strategy=strategy)
    server.select("of-an-older-release", pool_uris=[pool], failures_uri=server.failures(encoder=""), strategy=strategy)


def test_a_selection_searches_the_index_of_its_own_encoder_whichever_serves(server: Server) -> None:
    server.index(server.image_set(range(40), near=range(40), encoder="old-1"))
    pool = server.image_set(range(100, 120), near=range(100, 110), encoder="new-1")
    samples, _ = server.select(pool_uris=[pool], failures_uri=server.failures(encoder="new-1"), budget=50)
    assert set(ids(samples)) == set(range(100, 120))
    assert nearest(server).encoder_id == "old-1"
