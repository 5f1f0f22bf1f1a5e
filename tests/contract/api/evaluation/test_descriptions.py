"""Items whose right answer is a description."""

from __future__ import annotations

import pytest

from shared.errors import NotFound
from shared.objects.dataset import read_object
from shared.rows.evaluation import Answer, Scores, Unscored
from shared.rows.failures import Failure
from tests.support.chat import ScriptedChat
from tests.support.evaluation_world import evaluate_request, finish, import_request, mine_request

GOOD, USABLE, REJECT = (
    f"Words. Overall, the quality of this image is {level}." for level in ("good", "usable", "reject")
)


def described_benchmark(world, stub, channel):
    """Questions 0 to 2, with the right answers A, B, A, and descriptions 3 to 5 in one table."""
    rows = [f"{n}\tIs it sharp?\tYes\tNo\t{'AB'[n % 2]}\t\tct" for n in range(3)]
    rows += [f"{n}\t\t\t\t\t{level}\tmri" for n, level in ((3, GOOD), (4, USABLE), (5, REJECT))]
    table = world.table(*rows, header="index\tquestion\tA\tB\tanswer\tdescription\tmodality\n")
    return finish(channel, stub.StartImportBenchmark(import_request(world, table, "described")))


def answers_and_describes(prompt, sampling):
    return {"3": GOOD, "4": "", "5": GOOD}.get(prompt.item_id, "A")


def test_questions_and_descriptions_of_one_table_are_scored_apart(world):
    world.model.rule = answers_and_describes
    world.chat = ScriptedChat(lambda request: '{"grade": 1}' if "reject." in request.text else '{"grade": 2}')
    with world.serving() as (stub, channel):
        dev = described_benchmark(world, stub, channel)
        request = evaluate_request(world, dev, judge="scripted", description_tokens=64)
        uri = finish(channel, stub.StartEvaluate(request))
    scores = read_object(world.objects, uri, Scores)
    assert (scores.perception.overall.n, scores.perception.overall.value) == (6, pytest.approx(2 / 3))
    assert sorted(scores.perception.by_question_type) == ["yes_no"]
    described = scores.description
    assert (described.overall.value, described.overall.n) == (pytest.approx((8 + 0 + 4) / 3), 6)
    assert described.level_accuracy.value == pytest.approx((2 + 0 + 0) / 3)
    assert (described.judge, described.pass_sum) == ("scripted, prompt 1", 5)
    assert sorted(described.anchors) == ["contrary", "faithful", "partial"]
    row = {(one.item_id, one.run): one for one in world.rows(uri, Answer)}
    assert [row[name, 0].correct for name in "345"] == [True, None, False]
    assert [row[name, 0].evaluated for name in "345"] == [True, True, True]
    assert (row["3", 1].level, row["3", 1].gold, row["3", 1].judgement.completeness) == ("good", GOOD, 2)
    assert world.rows(uri, Unscored) == []


def test_a_description_may_be_longer_than_an_answer(world):
    longest = {}

    def note(prompt, sampling):
        longest[prompt.item_id] = sampling.max_new_tokens
        return "A"

    world.model.rule = note
    with world.serving() as (stub, channel):
        dev = described_benchmark(world, stub, channel)
        finish(channel, stub.StartEvaluate(evaluate_request(world, dev, description_tokens=64)))
    assert longest == {**dict.fromkeys("012", 8), **dict.fromkeys("345", 64)}


def test_without_a_judge_descriptions_are_unscored_by_name_and_their_levels_are_read(world):
    world.model.rule = answers_and_describes
    with world.serving() as (stub, channel):
        dev = described_benchmark(world, stub, channel)
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
    unscored = world.rows(uri, Unscored)
    assert [(row.item_id, row.run) for row in unscored] == [("3", 0), ("3", 1), ("5", 0), ("5", 1)]
    assert {row.reason for row in unscored} == {"No judge is named for descriptions."}
    described = read_object(world.objects, uri, Scores).description
    assert (described.overall.n, described.overall.unscored, described.judge) == (2, 4, "")
    assert (described.level_accuracy.n, described.anchors) == (6, {})


def test_a_benchmark_of_descriptions_alone_has_levels_without_a_judge(world):
    world.model.rule = lambda prompt, sampling: USABLE
    table = world.table(*(f"{n}\t{GOOD}" for n in range(3)), header="index\tdescription\n")
    with world.serving() as (stub, channel):
        dev = finish(channel, stub.StartImportBenchmark(import_request(world, table, "alone")))
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
    scores = read_object(world.objects, uri, Scores)
    assert (scores.perception.overall.n, scores.perception.overall.value) == (0, None)
    assert scores.description.level_accuracy.value == 1.0


def test_an_endpoint_that_the_site_does_not_have_is_refused_before_the_model_is_asked(world):
    with world.serving() as (stub, channel):
        dev = described_benchmark(world, stub, channel)
        answer = stub.StartEvaluate(evaluate_request(world, dev, judge="gpt-9"))
        with pytest.raises(NotFound):
            finish(channel, answer)
    assert world.model.asked == []


def test_failed_descriptions_are_mined_beside_failed_questions(world):
    world.model.rule = answers_and_describes
    world.chat = ScriptedChat(lambda request: '{"grade": 1}')
    with world.serving() as (stub, channel), world.embedding_serving():
        dev = described_benchmark(world, stub, channel)
        evaluation = finish(channel, stub.StartEvaluate(evaluate_request(world, dev, judge="scripted")))
        uri = finish(channel, stub.StartMineFailures(mine_request(world, evaluation, dev)))
    failed = {row.item_id: row for row in world.rows(uri, Failure)}
    assert sorted(failed) == ["1", "3", "4", "5"]
    assert "question_type:description" in failed["3"].capabilities
    assert (failed["3"].n_scored, failed["4"].n_scored) == (2, 0)
