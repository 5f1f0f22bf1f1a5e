"""A judge that reads answers."""

from __future__ import annotations

import pytest

from medq.evaluation.v1 import evaluation_pb2 as pb
from shared.errors import FailedPrecondition, NotFound, Unavailable
from shared.objects.dataset import read_object
from shared.rows.evaluation import Answer, Scores, Unscored
from tests.support.chat import ScriptedChat
from tests.support.evaluation_world import benchmark, evaluate_request, finish


def test_a_judge_reads_what_no_rule_reads_and_the_scores_say_so(world):
    world.model.rule = lambda prompt, sampling: "A" if prompt.item_id != "4" else "I would go with what stands first."
    world.chat = ScriptedChat(lambda request: "A")
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        request = evaluate_request(world, dev, extractor=pb.EXTRACTOR_JUDGE, judge="scripted")
        uri = finish(channel, stub.StartEvaluate(request))
    assert {row.choice for row in world.rows(uri, Answer)} == {"A"}
    extractors = read_object(world.objects, uri, Scores).extractors
    assert (extractors.used, extractors.judge, extractors.n_judged) == ("judge", "scripted", 2)
    assert len(world.chat.asked) == 1  # both runs said the same


def test_a_judge_that_is_down_leaves_answers_unscored_by_name_until_it_is_back(world):
    world.model.rule = lambda prompt, sampling: "A" if prompt.item_id != "4" else "I would go with what stands first."
    said = [Unavailable("The endpoint refused with status 503."), "B"]
    world.chat = ScriptedChat(lambda request: said.pop(0))
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        request = evaluate_request(world, dev, extractor=pb.EXTRACTOR_JUDGE, judge="scripted")
        down = finish(channel, stub.StartEvaluate(request))
        request.operation_id += "/again"
        up = finish(channel, stub.StartEvaluate(request))
    lost = {(row.item_id, row.run): row.reason for row in world.rows(down, Unscored)}
    assert lost == dict.fromkeys([("4", 0), ("4", 1)], "The endpoint refused with status 503.")
    assert [row.evaluated for row in world.rows(down, Answer) if row.item_id == "4"] == [False, False]
    assert read_object(world.objects, down, Scores).perception.overall.n == 10
    assert world.rows(up, Unscored) == []
    assert {row.choice for row in world.rows(up, Answer) if row.item_id == "4"} == {"B"}


def test_an_evaluation_of_which_nothing_could_be_judged_fails_and_says_why(world):
    world.model.rule = lambda prompt, sampling: "I would go with what stands first."
    world.chat = ScriptedChat(lambda request: "")
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        request = evaluate_request(world, dev, extractor=pb.EXTRACTOR_JUDGE, judge="scripted")
        with pytest.raises(FailedPrecondition, match="The judge gave no verdict"):
            finish(channel, stub.StartEvaluate(request))


@pytest.mark.parametrize(("judge", "kind"), [("", FailedPrecondition), ("gpt-9", NotFound)])
def test_a_judge_that_is_not_there_is_refused_before_a_model_is_asked(world, judge, kind):
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        with pytest.raises(kind):
            finish(channel, stub.StartEvaluate(evaluate_request(world, dev, extractor=pb.EXTRACTOR_JUDGE, judge=judge)))
    assert world.model.asked == []
