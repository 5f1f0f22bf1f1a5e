"""What a message may be, whatever its method."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from medq.controller.v1 import controller_pb2
from medq.embedding.v1 import embedding_pb2
from medq.evaluation.v1 import evaluation_pb2
from medq.operations.v1 import operations_pb2
from medq.retrieval.v1 import retrieval_pb2
from medq.training.v1 import training_pb2
from shared.errors import InvalidArgument
from shared.rpc.messages import MOST_VALUES, read_message


def _read(message: Message) -> Message:
    return read_message(message.SerializeToString(), type(message).FromString)


@pytest.mark.parametrize(
    "message",
    [
        controller_pb2.StartRunRequest(run_id="r", config_yaml="ä" * 200_000, base_folder="/" + "x" * 4000),
        controller_pb2.ReserveCostsRequest(run_id="r", costs=[controller_pb2.Cost(key="k" * 300)] * 1000),
        evaluation_pb2.ScoreRepliesRequest(replies=[{"options": {"A": "a"}, "prediction": "p" * 100_000}]),
        retrieval_pb2.CheckLeakageRequest(image_ids=["0" * 64] * MOST_VALUES),
        retrieval_pb2.GetPoolRequest(),
    ],
)
def test_what_a_caller_may_mean_passes_unchanged(message: Message) -> None:
    assert _read(message) == message


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (controller_pb2.GetRunRequest(run_id="a\0b"), "run_id"),
        (controller_pb2.ReserveCostsRequest(costs=[controller_pb2.Cost(key="\0")]), "costs.key"),
        (evaluation_pb2.ScoreRepliesRequest(replies=[{"options": {"A\0": "a"}}]), "replies.options"),
        (evaluation_pb2.ScoreRepliesRequest(replies=[{"options": {"A": "\0"}}]), "replies.options"),
        (embedding_pb2.EmbedTextsRequest(texts=["a", "\0"]), "texts"),
        (operations_pb2.ListOperationsRequest(id_prefix="x" * 1_000_000), "id_prefix"),
        (controller_pb2.ListCostsRequest(run_id="x" * 1_000_000), "run_id"),
        (controller_pb2.ValidateRunRequest(config_yaml="x" * 300_000), "config_yaml"),
        (training_pb2.StartBuildDatasetRequest(answer_form=99), "answer_form"),
        (retrieval_pb2.SearchSimilarRequest(modality="x" * 5000), "modality"),
        (retrieval_pb2.SearchSimilarRequest(vector=[0.0] * (MOST_VALUES + 1)), "vector"),
        (retrieval_pb2.CheckLeakageRequest(guard_uris=[""] * (MOST_VALUES + 1)), "guard_uris"),
    ],
)
def test_a_text_or_a_list_that_nobody_can_mean_is_refused_by_name(message: Message, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        _read(message)
    assert caught.value.field == field
    assert caught.value.remedy


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05abc", b"\x0a\x02\xff\xfe", b"\x0a\x03\xed\xa0\x80", b"\x0f"])
def test_bytes_that_are_no_such_message_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidArgument, match="cannot be read"):
        read_message(raw, controller_pb2.GetRunRequest.FromString)
