"""Requests that the training service refuses."""

from __future__ import annotations

import grpc
import pytest

from medq.training.v1 import training_pb2 as pb
from medq.training.v1.training_pb2_grpc import TrainingServiceStub
from shared.status import from_rpc_error

BAD_BUILDS = [
    ("decisions_uri", ""),
    ("replay_uri", "x"),
    ("image_set_uris", []),
    ("guard_uris", []),
    ("guard_uris", ["x"]),
    ("replay_ratio", -1.0),
    ("total_samples", 1),
    ("total_samples", 10_000_001),
    ("phash_distance", 17),
    ("tfidf_threshold", 0.0),
    ("tfidf_threshold", 1.5),
    ("round", 2**31),
]


BAD_TRAININGS = [
    ("model_uri", ""),
    ("dataset_uri", "x"),
    ("learning_rate", 0.0),
    ("epochs", 0.0),
    ("epochs", 1.5),
    ("steps", 10_000_001),
    ("batch_size", 0),
    ("gradient_accumulation", 0),
    ("loss", pb.LOSS_REDUCTION_UNSPECIFIED),
    ("warmup_ratio", 1.0),
    ("weight_decay", -1.0),
    ("round", 2**31),
]


def test_a_bad_field_is_refused_at_once_by_name(house):
    with house.server() as channel:
        stub = TrainingServiceStub(channel)
        calls = [(stub.StartBuildDataset, house.request(**{name: value}), name) for name, value in BAD_BUILDS]
        good = house.train_request(channel)
        for name, value in BAD_TRAININGS:
            request = pb.StartTrainRequest()
            request.CopyFrom(good)
            setattr(request, name, value)
            calls.append((stub.StartTrain, request, name))
        calls += [
            (stub.StartImportModel, pb.StartImportModelRequest(operation_id="i", folder_uri=uri), "folder_uri")
            for uri in ("", "s3://bucket/model", "file://host/model")
        ]
        for call, request, name in calls:
            with pytest.raises(grpc.RpcError) as caught:
                call(request)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert from_rpc_error(caught.value).field == name
