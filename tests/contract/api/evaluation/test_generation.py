"""Generated answers with the log-probability of their tokens."""

from __future__ import annotations

import pytest

from medq.evaluation.v1 import evaluation_pb2 as pb
from shared.errors import NotFound
from shared.rows.annotation import Generation, Question
from shared.rows.images import Image
from tests.support.evaluation import put_dataset
from tests.support.evaluation_world import finish
from tests.support.rows import build


def test_generations_carry_the_log_probability_of_each_token(world):
    world.model.rule = lambda prompt, sampling: "B" if "A. Yes" in prompt.text else "It is blurred."
    image_uri = world.rows(world.image_set, Image)[0].image_uri
    options = {"A": "Yes", "B": "No"}
    rows = [
        build(Question, question_id="q2", image_uri=image_uri, question="Describe.", options={}),
        build(Question, question_id="q1", image_uri=image_uri, question="Is it sharp?", options=options),
    ]
    questions = put_dataset(world.objects, "questions", {"questions.jsonl": rows})
    with world.serving() as (stub, channel):
        for operation_id in ("g1", "g2"):
            request = pb.StartGenerateRequest(
                operation_id=operation_id, model_uri=world.model_uri, questions_uri=questions,
                sampling=pb.Sampling(temperature=0, top_p=1, max_new_tokens=32),
            )  # fmt: skip
            uri = finish(channel, stub.StartGenerate(request))
    assert world.rows(uri, Generation) == [
        Generation(question_id="q1", answer="B", choice="B", token_logprobs=(-0.5,), answer_logprobs=(-0.5,)),
        Generation(
            question_id="q2",
            answer="It is blurred.",
            choice=None,
            token_logprobs=(-0.5,) * 14,
            answer_logprobs=(-0.5,) * 14,
        ),
    ]
    assert len(world.model.asked) == 2


def test_what_another_set_of_questions_asked_does_not_change_what_is_asked_at_once(world):
    image_uri = world.rows(world.image_set, Image)[0].image_uri
    both = [
        build(Question, question_id=name, image_uri=image_uri, question=f"Describe {name}.", options={})
        for name in "ab"
    ]
    asked = []
    with world.serving() as (stub, channel):
        for rows in (both[:1], both, both):
            questions = put_dataset(world.objects, "questions", {"questions.jsonl": rows})
            request = pb.StartGenerateRequest(
                operation_id=f"g{len(asked)}", model_uri=world.model_uri, questions_uri=questions,
                sampling=pb.Sampling(temperature=0, top_p=1, max_new_tokens=32),
            )  # fmt: skip
            finish(channel, stub.StartGenerate(request))
            asked.append(len(world.model.asked))
    assert asked == [1, 3, 3]


def test_a_question_whose_image_is_lost_ends_the_generation(world):
    question = build(Question, image_uri=f"sha256:{'0' * 64}")
    questions = put_dataset(world.objects, "questions", {"questions.jsonl": [question]})
    with world.serving() as (stub, channel):
        request = pb.StartGenerateRequest(
            operation_id="g", model_uri=world.model_uri, questions_uri=questions,
            sampling=pb.Sampling(temperature=0, top_p=1, max_new_tokens=32),
        )  # fmt: skip
        with pytest.raises(NotFound):
            finish(channel, stub.StartGenerate(request))
