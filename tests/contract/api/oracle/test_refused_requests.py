"""Requests that the oracle refuses."""

from __future__ import annotations

import math

import grpc
import pytest

from medq.oracle.v1 import oracle_pb2 as pb
from medq.oracle.v1.oracle_pb2_grpc import OracleServiceStub
from shared.errors import InvalidArgument
from shared.status import from_rpc_error


def test_an_unknown_dataset_is_the_operations_typed_failure(house):
    with house.server() as channel:
        request = house.request(known_uri=house.world.dev_uri)
        with pytest.raises(InvalidArgument, match="known-answers"):
            house.annotate(channel, request)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("selection_uri", "x"),
        ("known_answers_uri", ""),
        ("benchmark_uri", "sha256:1"),
        ("model_uri", ""),
        ("calibration_uris", ["x"]),
        ("tau_entropy", -1.0),
        ("tau_entropy", math.inf),
        ("tau_entropy", 1e308),
        ("tau_agreement", 1.5),
        ("audit_share", float("nan")),
        ("target_error_rate", 1.1),
        ("question_mode", pb.QUESTION_MODE_UNSPECIFIED),
        ("questions_per_image", 0),
        ("description_tokens", 0),
        ("max_in_flight", 0),
        ("max_in_flight", 1001),
        ("tau_text", 1.1),
        ("tau_entropy_description", -1.0),
        ("target_error_rate_description", 1.1),
        ("oracle", ""),
        ("oracle", "http://elsewhere"),
        ("expert", pb.EXPERT_KIND_UNSPECIFIED),
        ("expert", 9),
        ("simulated_oracle_accuracy", 1.1),
        ("simulated_expert_accuracy", -0.1),
        ("operation_id", ""),
        ("operation_id", "x" * 196),
        ("run_id", "r" * 101),
        ("arm", "a" * 81),
        ("round", 2**31),
    ],
)
def test_a_bad_field_is_refused_at_once_by_name(house, field, value):
    with house.server() as channel:
        request = house.request(house.world.dev_uri, **{field: value})
        with pytest.raises(grpc.RpcError) as caught:
            OracleServiceStub(channel).StartAnnotate(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert from_rpc_error(caught.value).field.endswith(field)
