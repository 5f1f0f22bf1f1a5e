"""Replies that were stored elsewhere are read, with no model."""

from __future__ import annotations

import grpc
import pytest

from medq.evaluation.v1 import evaluation_pb2 as pb
from shared.errors import InvalidArgument
from shared.status import from_rpc_error


def test_stored_replies_are_read_in_both_ways_and_in_order(world):
    options = {"A": "Noise", "B": "Motion", "C": ""}
    replies = [
        pb.StoredReply(options=options, answer="B", prediction="A blurred image, so B"),
        pb.StoredReply(options=options, answer="noise", prediction="Noise"),
        pb.StoredReply(options=options, answer="C", prediction="C"),
        pb.StoredReply(options={"A": "Noise"}, answer="A", prediction="A"),
    ]
    with world.serving() as (stub, _):
        scored = stub.ScoreReplies(pb.ScoreRepliesRequest(replies=replies)).replies
    assert [(reply.answer, reply.official_choice, reply.strict_choice, reply.refusal) for reply in scored] == [
        ("B", "A", "B", ""),
        ("A", "", "A", ""),
        ("", "", "", "the answer is not among the options"),
        ("", "", "", "fewer than two options"),
    ]


def test_more_replies_than_can_be_read_while_one_waits_are_refused(world):
    reply = pb.StoredReply(options={"A": "Noise", "B": "Motion"}, answer="B", prediction="C " * 50_000)
    with world.serving() as (stub, _), pytest.raises(grpc.RpcError) as caught:
        stub.ScoreReplies(pb.ScoreRepliesRequest(replies=[reply] * 11))
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgument)
    assert error.field == "replies"
