"""Requests that the evaluation service refuses."""

from __future__ import annotations

import grpc
import pytest

from medq.evaluation.v1 import evaluation_pb2 as pb
from shared.errors import AlreadyExists, InvalidArgument, NotFound
from shared.status import from_rpc_error
from tests.support.evaluation_world import benchmark, evaluate_request, finish, import_request, mine_request


@pytest.mark.parametrize(
    "changes",
    [
        {"model_uri": "model"},
        {"benchmark_uri": ""},
        {"arm": ""},
        {"n_runs": 0},
        {"n_runs": 101},
        {"extractor": pb.EXTRACTOR_UNSPECIFIED},
        {"sampling": pb.Sampling(temperature=0, top_p=1, max_new_tokens=8)},
        {"sampling": pb.Sampling(temperature=-1, top_p=1, max_new_tokens=8)},
        {"sampling": pb.Sampling(temperature=1, top_p=0, max_new_tokens=8)},
        {"sampling": pb.Sampling(temperature=1, top_p=1, max_new_tokens=0)},
    ],
)
def test_a_wrong_evaluation_is_refused_at_once(world, changes):
    with world.serving() as (stub, _), pytest.raises(grpc.RpcError) as caught:
        stub.StartEvaluate(evaluate_request(world, "sha256:" + "0" * 64, **changes))
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgument)
    assert error.field
    assert error.remedy


def test_other_wrong_requests_are_refused_at_once(world):
    some = "sha256:" + "0" * 64
    with world.serving() as (stub, _):
        calls = [
            (stub.StartImportBenchmark, import_request(world, "")),
            (stub.StartImportBenchmark, import_request(world, "x.tsv", split="base")),
            (stub.StartImportBenchmark, import_request(world, "x.tsv", image_set_uri="x")),
            (stub.StartMineFailures, mine_request(world, "x", some)),
            (stub.StartMineFailures, mine_request(world, some, some, gamma=1)),
            (stub.StartMineFailures, mine_request(world, some, some, max_clusters=1)),
            (stub.StartMineFailures, mine_request(world, some, some, visual_weight=1.5)),
            (stub.StartMineFailures, mine_request(world, some, some, axes=[])),
            (stub.StartMineFailures, mine_request(world, some, some, axes=["modality", "modality"])),
            (stub.StartMineFailures, mine_request(world, some, some, axes=["organ"])),
            (stub.StartMineFailures, mine_request(world, some, some, min_cell_items=0)),
            (stub.StartMineFailures, mine_request(world, some, some, min_prototype_size=0)),
            (stub.StartMineFailures, mine_request(world, some, some, n_runs=0)),
            (stub.StartGenerate, pb.StartGenerateRequest(operation_id="g", model_uri=some, questions_uri=some)),
            (stub.StartGenerate, pb.StartGenerateRequest(operation_id="g", model_uri=some, questions_uri="")),
        ]
        for call, request in calls:
            with pytest.raises(grpc.RpcError) as caught:
                call(request)
            assert isinstance(from_rpc_error(caught.value), InvalidArgument)


def test_datasets_that_are_not_there_are_not_found_and_an_id_names_one_request(world):
    with world.serving() as (stub, channel):
        request = evaluate_request(world, "sha256:" + "0" * 64)
        with pytest.raises(NotFound):
            finish(channel, stub.StartEvaluate(request))
        with pytest.raises(grpc.RpcError) as caught:
            stub.StartEvaluate(evaluate_request(world, "sha256:" + "1" * 64))
        assert isinstance(from_rpc_error(caught.value), AlreadyExists)


def test_what_is_no_model_answers_nothing(world):
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        with pytest.raises(InvalidArgument, match="kind 'model'"):
            finish(channel, stub.StartEvaluate(evaluate_request(world, dev, model_uri=dev)))
