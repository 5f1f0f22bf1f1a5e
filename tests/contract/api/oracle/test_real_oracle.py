"""The oracle server with an oracle behind an endpoint that fails at times: no known answers, and nobody is simulated."""

from __future__ import annotations

import base64
from collections import Counter
from contextlib import ExitStack

import pytest

from medq.oracle.v1 import oracle_pb2 as pb
from services.oracle.domain import annotation, generated, signals
from shared.errors import NotFound, PermissionDenied
from shared.objects.dataset import read_manifest
from shared.quality_level import closing_level
from tests.support.annotation import put_rows, samples
from tests.support.chat_server import chat_server, refuses, says
from tests.support.real_oracle import N_EACH, N_IMAGES, House, well
from tests.support.servers import short_folder


@pytest.fixture
def house():
    with short_folder() as folder, chat_server() as chat, ExitStack() as stack:
        house = House(folder, chat)
        stack.callback(lambda: house.fake_server.stop(0).wait())
        stack.callback(house.bus.close)
        yield house


def test_without_pool_answers_and_expert_a_cold_start_adopts_the_oracle_and_says_so(house):
    with house.server() as channel:
        rows, unanswered, summary = house.annotate(channel)
    assert (len(rows), unanswered) == (N_IMAGES * N_EACH, [])
    assert Counter(row.question_type for row in rows) == dict.fromkeys(
        ("yes_no", "what", "how", "description"), N_IMAGES
    )
    assert {(row.route, row.expert_action, row.simulated) for row in rows} == {("reference", "", False)}
    assert all(row.answer == row.reference_answer for row in rows)
    assert {closing_level(row.answer) for row in rows if not row.options} == {"usable"}
    assert summary.route_reasons == {signals.UNREVIEWED: len(rows)}
    assert (summary.simulated, summary.simulated_parts, summary.review_share) == (False, [], 0.0)
    assert (summary.policy["oracle"], summary.policy["expert"]) == ("gpt-4o", "EXPERT_KIND_NONE")
    manifest = read_manifest(house.objects, house.uri)
    assert manifest.configuration["bank"] == "1, prompts 1"
    assert manifest.parents == (house.world.selection_uri, house.world.model_uri)


def test_every_image_is_asked_about_once_and_every_dollar_is_what_the_server_counted(house):
    with house.server() as channel:
        _, _, summary = house.annotate(channel)
        house.annotate(channel, "op/2")
    assert len(house.chat.asked) == N_IMAGES
    assert sum(cost.usd for cost in house.neighbours.settled) == pytest.approx(house.chat.usd(2.5, 10.0))
    assert summary.account["oracle"].usd == pytest.approx(house.chat.usd(2.5, 10.0))
    assert {cost.is_simulated for cost in house.neighbours.settled} == {False}
    assert [row.image_id for row in house.neighbours.egress] == [
        uri.removeprefix("sha256:") for uri in house.world.image_uris
    ]


def test_what_leaves_is_the_picture_anew_the_weakness_and_the_form_of_the_answer(house):
    capability = "modality:ct+attribute:rings"
    selection = put_rows(house.objects, "selection", samples=samples(house.world.image_uris[:1], capability=capability))
    with house.server() as channel:
        house.annotate(channel, selection_uri=selection)
    (asked,) = house.chat.asked
    image, text = asked.content
    assert base64.b64decode(image["image_url"]["url"].split(",")[1]).startswith(b"\x89PNG")
    assert "its weakness is ring." in text["text"]
    assert asked.body["response_format"]["json_schema"]["strict"]


def test_the_seed_rule_tells_no_weakness_and_asks_the_same_of_every_image(house):
    with house.server() as channel:
        rows, _, _ = house.annotate(channel, question_mode=pb.QUESTION_MODE_SEED_RULE)
    assert len({asked.text for asked in house.chat.asked}) == 1
    assert "weakness" not in house.chat.asked[0].text
    assert len({row.question for row in rows}) == N_EACH


def test_a_useless_answer_is_asked_for_once_more_with_the_reason_and_both_are_paid(house):
    house.chat.script.append(says("Sorry, I cannot.", usage=(900, 9)))
    with house.server() as channel:
        rows, unanswered, summary = house.annotate(channel, max_in_flight=1)
    assert (len(rows), unanswered) == (N_IMAGES * N_EACH, [])
    assert summary.n_asked_again == 1
    assert len(house.chat.asked) == N_IMAGES + 1
    assert [generated.NO_OBJECT in asked.text for asked in house.chat.asked] == [False] * N_IMAGES + [True]
    keys = [cost.key.removeprefix("run/arm/0/oracle/") for cost in house.neighbours.settled]
    assert sorted(keys) == sorted(["sample-0/1", "sample-0/2", "sample-1/1", "sample-2/1", "sample-3/1"])
    assert sum(cost.usd for cost in house.neighbours.settled) == pytest.approx(house.chat.usd(2.5, 10.0))


def test_what_stays_useless_is_counted_by_its_reason_and_never_guessed(house):
    contradiction = lambda body: well(body).replace("image is usable", "image is good")  # noqa: E731
    house.chat.otherwise = says(contradiction)
    with house.server() as channel:
        rows, unanswered, summary = house.annotate(channel)
    assert rows == []
    assert summary.images_without_question == {f"{annotation.USELESS}: {generated.LEVEL_CONTRADICTS}": N_IMAGES}
    assert summary.unanswered == {}
    assert len(house.chat.asked) == 2 * N_IMAGES
    assert {row.question for row in unanswered} == {""}


def test_an_answer_that_was_cut_is_of_no_use(house):
    house.chat.otherwise = says("{", finish="length")
    with house.server() as channel:
        _, _, summary = house.annotate(channel)
    assert summary.images_without_question == {f"{annotation.USELESS}: {generated.CUT}": N_IMAGES}


def test_a_server_that_is_busy_is_asked_again_and_nothing_is_paid_for_that(house):
    house.chat.script.extend([refuses(429, {"Retry-After": "0"}), refuses(503)])
    with house.server(tries=5) as channel:
        rows, _, _ = house.annotate(channel)
    assert len(rows) == N_IMAGES * N_EACH
    assert len(house.chat.stated) == N_IMAGES
    assert sum(cost.usd for cost in house.neighbours.settled) == pytest.approx(house.chat.usd(2.5, 10.0))


def test_an_image_in_which_text_may_stand_does_not_leave(house):
    house.doubt = 0.9
    with house.server() as channel:
        rows, _, summary = house.annotate(channel)
    assert (rows, house.chat.asked, house.neighbours.reserved) == ([], [], [])
    assert list(summary.images_without_question.values()) == [N_IMAGES]
    assert "burned" in next(iter(summary.images_without_question))


@pytest.mark.parametrize(
    ("oracle", "may_receive", "error"), [("nobody", "images", NotFound), ("gpt-4o", "text", PermissionDenied)]
)
def test_an_endpoint_that_is_not_there_or_may_not_see_images_is_not_asked(house, oracle, may_receive, error):
    with house.server(may_receive=may_receive) as channel, pytest.raises(error):
        house.annotate(channel, oracle=oracle)
    assert house.chat.asked == []


def test_later_rounds_route_letters_and_descriptions_by_thresholds_of_their_own(house):
    """Sure and of another opinion: an expert is needed and there is none. Unsure: the oracle's answer."""
    house.neighbours.answer = lambda row: ("A", -2.0)
    with house.server() as channel:
        rows, unanswered, summary = house.annotate(channel, is_cold_start=False, round=1)
    assert {(row.route, bool(row.options), row.entropy) for row in rows} == {("reference", True, 2.0)}
    assert len(rows) == 3 * N_IMAGES
    assert summary.unanswered == {annotation.NO_EXPERT: N_IMAGES}
    assert {row.options == {} for row in unanswered} == {True}
    assert sorted(request.sampling.max_new_tokens for request in house.neighbours.generated) == [16, 64]


def test_a_description_that_agrees_is_adopted_and_its_entropy_is_of_all_its_tokens(house):
    house.neighbours.answer = lambda row: ("A", -2.0)
    with house.server() as channel:
        rows, _, _ = house.annotate(channel)
        house.neighbours.description = next(row.reference_answer for row in rows if not row.options)
        rows, unanswered, _ = house.annotate(channel, "later", is_cold_start=False, round=1)
    described = [row for row in rows if not row.options]
    assert unanswered == []
    assert {(row.route, row.agreement) for row in described} == {("self", 1.0)}
    assert [row.entropy for row in described] == [pytest.approx(0.2)] * N_IMAGES
