"""Selections, searches and checks that retrieval refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medq.retrieval.v1 import retrieval_pb2 as pb
from services.retrieval.service import MOST_IDS
from shared.errors import FailedPrecondition, InvalidArgument, NotFound
from shared.rows.images import Image
from tests.support.retrieval_server import D, Server, refused, vector_of
from tests.support.rows import build as row


def test_vectors_of_another_dimension_end_the_operation(server: Server) -> None:
    pool = server.image_set(range(9))
    failures = server.failures(failed=range(8), never_failed=range(8, 40))
    other = server.dataset(
        "image-set", {"images.jsonl": [row(Image, split="pool")], "vectors.npy": np.ones((1, 2), np.float32)}, {}
    )
    asked = {"failures_uri": failures, "strategy": pb.STRATEGY_FAILURE_CONTRAST}
    with pytest.raises(InvalidArgument, match="different dimensions"):
        server.select(pool_uris=[pool, other], **asked)


def test_an_empty_pool_is_a_failed_precondition_with_a_remedy(server: Server) -> None:
    dev = server.image_set(range(3), split="dev")
    with pytest.raises(FailedPrecondition) as caught:
        server.select(pool_uris=[dev])
    assert "Ingest images" in caught.value.remedy


def test_a_dataset_of_another_kind_ends_the_operation(server: Server) -> None:
    pool = server.image_set(range(3))
    with pytest.raises(InvalidArgument, match="failures"):
        server.select(pool_uris=[pool], failures_uri=pool)
    with pytest.raises(NotFound):
        server.select("missing", pool_uris=["sha256:" + "0" * 64])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"run_id": ""}, "run_id"),
        ({"arm": ""}, "arm"),
        ({"strategy": 0}, "strategy"),
        ({"failures_uri": ""}, "failures_uri"),
        ({"budget": 0}, "budget"),
        ({"tau_sim": 1.0}, "tau_sim"),
        ({"tau_sim": float("nan")}, "tau_sim"),
        ({"tau_pool_share": 1.5}, "tau_pool_share"),
        ({"tau_pool_share": float("nan")}, "tau_pool_share"),
        ({"strategy": pb.STRATEGY_FAILURE_CONTRAST, "neighbours": 0}, "neighbours"),
        ({"alpha": -1.0}, "alpha"),
        ({"phash_distance": 17}, "phash_distance"),
        ({"guard_uris": ["dev"]}, "guard_uris"),
        ({"pool_uris": []}, "pool_uris"),
    ],
)
def test_a_wrong_selection_is_refused_with_its_field(server: Server, changed: dict[str, Any], field: str) -> None:
    request = server.request(**{"pool_uris": ["sha256:" + "0" * 64], **changed})
    error = refused(server.stub.StartSelectSamples, request)
    assert isinstance(error, InvalidArgument)
    assert (error.field, bool(error.remedy)) == (field, True)


def test_wrong_searches_and_checks_are_refused(server: Server) -> None:
    uri = server.image_set(range(3))
    assert refused(server.stub.SearchSimilar, pb.SearchSimilarRequest(vector=[1.0] * D, limit=5)).field == "vector"
    unit = vector_of(0, 0).tolist()
    assert refused(server.stub.SearchSimilar, pb.SearchSimilarRequest(vector=unit, limit=0)).field == "limit"
    assert refused(server.stub.CheckLeakage, pb.CheckLeakageRequest()).field == "image_set_uris"
    unknown = pb.CheckLeakageRequest(image_set_uris=[uri], image_ids=["x"])
    assert isinstance(refused(server.stub.CheckLeakage, unknown), NotFound)
    many = [f"{i:064x}" for i in range(MOST_IDS + 1)]
    too_many = pb.CheckLeakageRequest(image_set_uris=[uri], image_ids=many)
    assert refused(server.stub.CheckLeakage, too_many).field == "image_ids"
    index = pb.StartIndexImagesRequest(operation_id="x", image_set_uri="pool")
    assert refused(server.stub.StartIndexImages, index).field == "image_set_uri"


@pytest.mark.parametrize("field", ["image_set_uris", "guard_uris"])
def test_a_set_that_is_named_twice_is_refused(server: Server, field: str) -> None:
    uri = server.image_set([1, 2])
    named = {"image_set_uris": [uri], "guard_uris": [uri]}
    for uris in ([uri, uri], [uri] * 1000):
        assert refused(server.stub.CheckLeakage, pb.CheckLeakageRequest(**named | {field: uris})).field == field
