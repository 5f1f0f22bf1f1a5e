"""Scores of answers, by each way of reading them."""

from __future__ import annotations

import pytest

from medq.evaluation.v1 import evaluation_pb2 as pb
from shared.objects.dataset import read_manifest, read_object, read_rows
from shared.rows.benchmark import Item
from shared.rows.evaluation import Answer, Scores, Unscored
from tests.support.evaluation_world import benchmark, evaluate_request, finish


def test_an_evaluation_scores_every_answer(world):
    texts = {"0": "A", "1": "A", "2": "Yes", "3": "B) No", "4": "I cannot tell", "5": "The answer is B."}
    world.model.rule = lambda prompt, sampling: texts[prompt.item_id]
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        uri = finish(channel, stub.StartEvaluate(evaluate_request(world, dev)))
    rows = world.rows(uri, Answer)
    assert [(row.item_id, row.run) for row in rows] == [(str(n), run) for n in range(6) for run in range(2)]
    first = {row.item_id: row for row in rows if row.run == 0}
    assert [first[str(n)].choice for n in range(6)] == ["A", "A", "A", "B", None, "B"]
    assert [first[str(n)].correct for n in range(6)] == [True, False, True, True, None, True]
    assert (first["4"].scored, first["4"].answer, first["0"].gold) == (False, "I cannot tell", "A")
    assert (first["0"].model, first["0"].arm, first["0"].round, first["0"].seed) == (
        world.model_uri, "full", 1, 5,
    )  # fmt: skip
    assert (first["3"].tokens, first["3"].logprob_sum) == (5, -2.5)
    scores = read_object(world.objects, uri, Scores)
    overall = scores.perception.overall
    assert (overall.value, overall.n, overall.unscored) == (pytest.approx(8 / 12), 12, 0)
    assert (overall.scored, overall.coverage) == (0.8, pytest.approx(10 / 12))
    assert overall.low <= overall.value <= overall.high
    counts = read_manifest(world.objects, uri).counts
    assert counts == {"answers": 12, "items": 6, "unreadable": 2, "unscored": 0}
    assert world.rows(uri, Unscored) == []
    assert scores.perception.by_modality["ct"].n == 6
    assert scores.extractors.used == "strict"
    # "Yes" is nothing to the published reading.
    assert scores.extractors.disagreement.value == pytest.approx(1 / 6)


def test_the_official_extractor_reads_as_published(world):
    world.model.rule = lambda prompt, sampling: "a blurred image"
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        request = evaluate_request(world, dev, extractor=pb.EXTRACTOR_OFFICIAL)
        uri = finish(channel, stub.StartEvaluate(request))
    assert {row.choice for row in world.rows(uri, Answer)} == {"A"}
    assert read_object(world.objects, uri, Scores).extractors.disagreement.value == 1


def test_the_likeliest_option_is_asked_for_in_the_words_of_the_form(world):
    seen = []

    def second(prompt, sampling):
        seen.append((prompt.text, prompt.candidates))
        return prompt.candidates[1]

    world.model.rule = second
    with world.serving() as (stub, channel):
        dev = benchmark(world, stub, channel)
        uris = [
            finish(
                channel,
                stub.StartEvaluate(
                    evaluate_request(
                        world, dev, operation_id=f"evaluate/{form}", extractor=pb.EXTRACTOR_LIKELIHOOD, answer_form=form
                    )
                ),
            )
            for form in (pb.ANSWER_FORM_LETTER, pb.ANSWER_FORM_OPEN)
        ]
    items = {item.item_id: item for item in read_rows(world.objects, dev, Item)}
    for uri, is_open in zip(uris, (False, True), strict=True):
        rows = world.rows(uri, Answer)
        assert {row.choice for row in rows} == {"B"}
        assert all(row.answer == (items[row.item_id].options["B"] if is_open else "B") for row in rows)
        assert read_object(world.objects, uri, Scores).extractors.used == "likelihood"
    assert (items["0"].question, tuple(items["0"].options.values())) in seen
