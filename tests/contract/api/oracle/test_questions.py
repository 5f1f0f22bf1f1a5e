"""Which questions are asked of an image, and what nobody knows."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec.structs import replace

from medq.oracle.v1 import oracle_pb2 as pb
from tests.support.annotation import put_rows, samples
from tests.support.evaluation import put_image


def test_the_question_of_the_drawn_capability_comes_first(house):
    with house.server() as channel:
        request = house.request(house.known_answers(channel), questions_per_image=1)
        rows, _, _ = house.annotate(channel, request)
    assert {row.question_type for row in rows} == {"what"}


def test_the_seed_rule_asks_other_questions_too(house):
    with house.server() as channel:
        known = house.known_answers(channel)
        request = house.request(known, questions_per_image=1, question_mode=pb.QUESTION_MODE_SEED_RULE)
        rows, _, _ = house.annotate(channel, request)
    assert {row.question_type for row in rows} - {"what"}


@pytest.mark.parametrize(("n", "without_choice"), [(2, 0), (3, 4)])
def test_a_summary_says_of_how_many_images_every_known_question_was_asked(house, n, without_choice):
    with house.server() as channel:
        _, _, summary = house.annotate(channel, house.request(house.known_answers(channel), questions_per_image=n))
    assert summary.n_without_choice == without_choice


def test_what_nobody_knows_is_unanswered_and_never_guessed(house):
    strangers = [put_image(house.objects, 90), put_image(house.objects, 91)]
    rows = samples(strangers[:1]) + samples(strangers[1:], modality="fundus")
    rows[1] = replace(rows[1], sample_id="sample-9")
    selection_uri = put_rows(house.objects, "selection", samples=rows)
    with house.server() as channel:
        request = house.request(house.known_answers(channel), selection_uri=selection_uri)
        rows, unanswered, summary = house.annotate(channel, request)
    assert rows == []
    assert Counter(row.reason for row in unanswered) == {
        "the oracle does not know the question": 2,
        "no question is known for the image, and its modality has no template": 1,
    }
    assert summary.account["expert"].calls == 0
    assert summary.account["oracle"].usd == 0
