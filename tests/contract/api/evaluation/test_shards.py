"""An evaluation in shards."""

from __future__ import annotations

import grpc
import pytest

from shared.rows.evaluation import Answer
from shared.status import from_rpc_error
from tests.support.evaluation_world import World, benchmark, evaluate_request, finish
from tests.support.servers import short_folder


def test_shards_share_the_batches_and_the_whole_asks_for_nothing_more(world):
    world.model.rule = lambda prompt, sampling: prompt.item_id
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        asked = []
        for shard in range(2):
            request = evaluate_request(world, dev, f"evaluate.{shard}", n_shards=2, shard=shard)
            assert finish(channel, stub.StartEvaluate(request)) == ""
            asked.append(list(world.model.asked))
            world.model.asked.clear()
        # Batches of four answers: two items each.
        assert [sorted({item for item, _ in one}) for one in asked] == [["0", "1", "4", "5"], ["2", "3"]]
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        assert world.model.asked == []
    with short_folder() as folder:
        alone = World(folder)
        alone.model.rule = world.model.rule
        with alone.serving() as (stub, channel):
            request = evaluate_request(alone, benchmark(alone, stub, channel))
            assert finish(channel, stub.StartEvaluate(request)) == uri


def test_a_shard_leaves_a_lost_image_to_the_whole_evaluation(world):
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        whole = world.lose("0")
        for shard in range(2):
            request = evaluate_request(world, dev, f"evaluate.{shard}", n_shards=2, shard=shard)
            assert finish(channel, stub.StartEvaluate(request)) == ""
        assert len(world.model.asked) == 10
        world.restore("0", whole)
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
    assert all(row.evaluated for row in world.rows(uri, Answer))
    assert len(world.model.asked) == 12


@pytest.mark.parametrize(("n_shards", "shard", "field"), [(2, 2, "shard"), (0, 1, "shard"), (1001, 0, "n_shards")])
def test_a_shard_that_is_none_is_refused(world, n_shards, shard, field):
    with world.serving() as (stub, _):
        request = evaluate_request(world, world.image_set, n_shards=n_shards, shard=shard)
        with pytest.raises(grpc.RpcError) as caught:
            stub.StartEvaluate(request)
        assert from_rpc_error(caught.value).field == field
