"""Images that cannot be read: what they cost, and what comes back."""

from __future__ import annotations

import pytest

from shared.errors import FailedPrecondition
from shared.objects.dataset import read_manifest, read_object
from shared.rows.evaluation import Answer, Scores, Unscored
from shared.rpc.operations import await_operation
from tests.support.evaluation_world import World, benchmark, evaluate_request, finish
from tests.support.servers import short_folder


@pytest.mark.parametrize("damaged", [None, b"These are other bytes."], ids=["gone", "damaged"])
def test_a_lost_image_is_named_and_costs_no_other_item(world, damaged):
    world.model.rule = lambda prompt, sampling: prompt.item_id
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        whole = world.lose("1", damaged)
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
        lost = [row for row in world.rows(uri, Answer) if not row.evaluated]
        assert [(row.item_id, row.run, row.answer, row.scored, row.correct) for row in lost] == [
            ("1", run, "", False, None) for run in range(2)
        ]
        named = world.rows(uri, Unscored)
        assert [(row.item_id, row.run) for row in named] == [("1", 0), ("1", 1)]
        assert all(row.reason and row.remedy for row in named)
        overall = read_object(world.objects, uri, Scores).perception.overall
        assert (overall.n, overall.unscored) == (10, 2)
        assert read_manifest(world.objects, uri).counts["unscored"] == 2
        assert len(world.model.asked) == 10
        world.restore("1", whole)
        world.model.asked.clear()
        again = finish(channel, stub.StartEvaluate(evaluate_request(world, dev, "again")))
        assert world.model.asked == [("1", 0), ("1", 1)]
    with short_folder() as folder:
        undisturbed = World(folder)
        undisturbed.model.rule = world.model.rule
        with undisturbed.serving() as (stub, channel):
            request = evaluate_request(undisturbed, benchmark(undisturbed, stub, channel))
            assert finish(channel, stub.StartEvaluate(request)) == again


def test_an_image_that_comes_back_while_others_are_answered_is_evaluated(world):
    def restores(prompt, sampling):
        if prompt.item_id == "5":
            world.restore("0", whole)
        return "A"

    world.model.rule = restores
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        whole = world.lose("0")
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
    assert all(row.evaluated for row in world.rows(uri, Answer))
    assert world.model.asked[-2:] == [("0", 0), ("0", 1)]
    assert len(world.model.asked) == 12


def test_an_evaluation_without_any_image_fails_and_says_so(world):
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        for item_id in map(str, range(6)):
            world.lose(item_id)
        answer = stub.StartEvaluate(evaluate_request(world, dev))
        with pytest.raises(FailedPrecondition, match="None of the 6 items could be evaluated") as caught:
            await_operation(channel, answer.operation_id)
    assert caught.value.remedy
    assert world.model.asked == []
