"""An endpoint that fails at times, behind the guard, with the controller's own ledger and audit."""

from __future__ import annotations

import base64
import hashlib
import io
import random

import grpc
import numpy as np
import pytest
from PIL import Image

from shared.chat.egress import EgressGuard
from shared.chat.messages import ChatRequest
from shared.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument, PermissionDenied, Unavailable
from shared.outside.endpoint import SiteEndpoints
from tests.support.chat_server import cuts, hangs_up, refuses, says, sends
from tests.support.endpoint_world import IMAGE, N, Said, endpoint_world


@pytest.fixture
def world(tmp_path):
    with endpoint_world(tmp_path) as world:
        yield world


def test_every_dollar_of_the_ledger_is_what_the_server_counted(world):
    world.server.script += [says("A", usage=(number * 11, number)) for number in range(N)]
    assert len(world.run().outcomes) == N
    assert world.states == {"settled": N}
    assert world.usd("settled") == pytest.approx(world.server.usd(2.5, 10.0))


@pytest.mark.parametrize("seed", range(3))
def test_each_request_that_arrives_is_one_attempt_and_one_row_whatever_becomes_of_it(world, seed):
    draw = random.Random(seed)
    failures = [refuses(429), refuses(500), refuses(503), refuses(504), cuts, hangs_up, sends(b"{"), refuses(429)]
    answers = [says("A", usage=(draw.randrange(5000), draw.randrange(500))) for _ in range(40)]
    mixed = failures * 4 + answers[1:]
    world.server.script += [*draw.sample(mixed, k=len(mixed)), answers[0]]  # so that the last answer comes last
    results = world.run(40, tries=20, patience_seconds=10_000)
    assert len(results.outcomes) == 40
    assert len(world.server.asked) == len(world.entries) == len(world.left)
    assert world.states["settled"] == len(world.server.stated) == 40
    assert world.usd("settled") == pytest.approx(world.server.usd(2.5, 10.0))
    assert world.states["unknown"] == 4 * 4  # 504, cuts, hangs_up, garbage
    assert world.states["released"] == 4 * 4


def test_a_run_reserves_no_more_than_its_budget(world):
    world.runs.create("run", {"stop": {"max_usd": 0.05}})
    world.server.otherwise = says("A", usage=(1000, 10))
    results = world.run(100)
    assert results.stopped == "The run's budget does not cover this."
    assert 0 < len(results.outcomes) == len(world.server.asked) < 100
    assert world.ledger.committed("run")[0] <= 0.05


def test_a_budget_that_does_not_cover_another_try_ends_the_work(world):
    world.runs.create("run", {"stop": {"max_usd": 0.005}})
    world.server.otherwise = cuts
    results = world.run(1)
    assert (results.stopped, results.outcomes) == ("The run's budget does not cover this.", {})
    assert world.states == {"unknown": 1}


def test_what_fails_at_times_is_tried_again_and_each_try_is_an_attempt(world):
    world.server.script += [refuses(429), says("A", usage=(50, 5)), refuses(503), refuses(500)]
    assert len(world.run().outcomes) == N
    assert world.states == {"settled": N, "released": 3}
    assert world.usd("settled") == pytest.approx(world.server.usd(2.5, 10.0))
    assert world.ledger.committed("run") == (pytest.approx(world.server.usd(2.5, 10.0)), 0.0)
    assert {entry.attempt for entry in world.entries} == {1, 2}


@pytest.mark.parametrize("behaviour", [cuts, hangs_up, sends(b"garbage"), refuses(504)])
def test_what_nobody_knows_the_cost_of_counts_as_the_most_beside_the_try_that_brought_the_answer(world, behaviour):
    world.server.script.append(behaviour)
    assert len(world.run().outcomes) == N
    assert world.states == {"settled": N, "unknown": 1}
    assert world.usd("settled") == pytest.approx(world.server.usd(2.5, 10.0))
    reserved = next(entry.cost.usd for entry in world.entries if entry.state == "unknown")
    assert reserved > max(entry.cost.usd for entry in world.entries if entry.state == "settled")


def test_an_answer_without_usage_is_settled_at_the_most(world):
    world.server.script.append(says("A", usage=None))
    world.run(1)
    (entry,) = world.entries
    assert entry.state == "settled"
    assert entry.cost.usd > 10 * 10.0 / 1e6
    assert entry.cost.is_usage_unstated


def test_an_answer_with_usage_is_not_marked_and_neither_is_a_reservation(world):
    world.server.script += [says("A", usage=(50, 5)), cuts, cuts, cuts]
    world.run(2, max_in_flight=1)
    assert world.states == {"settled": 1, "unknown": 3}
    assert not any(entry.cost.is_usage_unstated for entry in world.entries)


def test_the_server_says_how_long_to_wait(world):
    world.server.script.append(refuses(429, {"Retry-After": "17"}))
    world.run(1)
    assert sum(world.pauses) == 17


def test_without_a_word_the_pauses_double(world):
    world.server.script += [refuses(503)] * 3
    world.run(1, tries=4)
    assert sum(world.pauses) == 1 + 2 + 4


def test_patience_ends_at_what_the_site_says(world):
    world.server.script.append(refuses(429, {"Retry-After": "3600"}))
    with pytest.raises(Unavailable):
        world.run(1, patience_seconds=60)
    assert world.pauses == []
    assert world.states == {"released": 1}


def test_an_endpoint_that_is_down_ends_the_work_and_eats_no_budget(world):
    world.server.otherwise = refuses(503)
    with pytest.raises(Unavailable):
        world.run()
    assert world.states == {"released": 4 * 3}
    world.server.otherwise = says("A")
    assert len(world.run().outcomes) == N
    assert world.usd("settled") == pytest.approx(world.server.usd(2.5, 10.0))


def test_an_endpoint_that_never_answers_ends_the_work(world):
    world.server.otherwise = cuts
    with pytest.raises(DeadlineExceeded):
        world.run()
    assert world.states == {"unknown": 4 * 3}


def test_one_question_that_is_never_answered_does_not_hold_up_the_others(world):
    def dies(server, handler, body):
        (cuts if "question 2" in str(body) else says("A"))(server, handler, body)

    world.server.otherwise = dies
    results = world.run()
    assert results.outcomes.keys() == {f"k{number}" for number in range(N) if number != 2}
    assert results.why_not("k2") == "given up: The endpoint broke off its answer."
    assert world.states == {"settled": N - 1, "unknown": 3}


def test_what_the_endpoint_refuses_is_left_out_by_reason_and_costs_nothing(world):
    world.server.script.append(refuses(400))
    results = world.run()
    assert len(results.outcomes) == N - 1
    assert list(results.refused.values()) == ["refused: The endpoint refused with status 400."]
    assert world.states == {"settled": N - 1, "released": 1}


def test_an_endpoint_that_refuses_every_question_is_not_asked_all_of_them(world):
    world.server.otherwise = refuses(400)
    with pytest.raises(InvalidArgument, match="400"):
        world.run(100)
    assert len(world.server.asked) == 16
    assert world.states == {"released": 16}


@pytest.mark.parametrize(("status", "kind"), [(401, PermissionDenied), (404, FailedPrecondition)])
def test_an_endpoint_that_answers_nobody_ends_the_work(world, status, kind):
    world.server.otherwise = refuses(status)
    with pytest.raises(kind):
        world.run()
    assert world.states == {"released": 4}


def test_an_image_in_which_text_may_stand_stays_and_the_others_go_on(world):
    world.doubts = [0.0, 0.5, 0.49, float("nan")]
    results = world.run(4)
    assert sorted(results.refused.values()) == ["refused: Text may be burned into the image, so it does not leave."] * 2
    assert len(results.outcomes) == len(world.server.asked) == len(world.left) == len(world.entries) == 2


def test_no_image_leaves_where_nobody_looks_for_text(world):
    oracle = SiteEndpoints({"gpt-4o": world.endpoint()}).open("gpt-4o", "oracle", "images", "annotate.oracle")
    with pytest.raises(PermissionDenied, match="burned"):
        oracle.prepare(ChatRequest("question"), [IMAGE], lambda reply, spent: Said(reply.text, spent))


def test_an_endpoint_for_texts_gets_no_image(world):
    endpoint = world.endpoint(may_receive="text")
    guard = EgressGuard("gpt-4o", endpoint, "oracle", lambda pixels: 0.0, 0.5)
    assert guard.clear(ChatRequest("question"))[0].images == ()
    with pytest.raises(PermissionDenied, match="may receive text"):
        guard.clear(ChatRequest("question"), [IMAGE])


def test_each_try_has_a_row_before_it_is_sent(world):
    seen = []

    def behave(server, handler, body):
        seen.append(len(world.left))
        says("A")(server, handler, body)

    world.server.script.append(refuses(503))
    world.server.otherwise = behave
    world.run(2, max_in_flight=1)
    assert seen == [2, 3]
    assert len(world.left) == 3


def test_a_row_says_what_went_where_and_for_which_run(world):
    world.run(1)
    (row,) = world.left
    (asked,) = world.server.asked
    assert (row.run_id, row.leaving.endpoint, row.leaving.model, row.leaving.purpose) == (
        "run", "gpt-4o", "gpt-4o", "oracle",
    )  # fmt: skip
    assert row.leaving.host == world.server.base_url.removeprefix("http://").removesuffix("/v1")
    assert row.leaving.key == "k0"
    assert row.leaving.image_id == IMAGE.image_id
    assert row.leaving.text_sha256 == hashlib.sha256(asked.text.encode()).hexdigest()


def test_what_is_for_no_run_is_in_the_audit_too(world):
    world.run(1, run_id="")
    assert [row.run_id for row in world.left] == [""]
    assert world.entries == []


def test_nothing_is_sent_where_the_audit_cannot_be_written(world):
    class Deaf:
        """A controller whose audit is away."""

        ReserveCosts = world.stub.ReserveCosts
        ReleaseCosts = world.stub.ReleaseCosts
        SettleCosts = world.stub.SettleCosts

        def RecordEgress(self, request):
            raise world_error

    class AwayError(grpc.RpcError):
        pass

    world_error = AwayError()
    world.stub = Deaf()
    with pytest.raises(Exception, match="The call failed"):
        world.run()
    assert not world.server.asked
    assert world.states == {"released": 4}


def test_pixels_arrive_and_nothing_beside_them(world):
    world.run(1)
    url = world.server.asked[0].content[0]["image_url"]["url"]
    picture = Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))
    np.testing.assert_array_equal(np.asarray(picture), IMAGE.pixels)
    assert picture.info == {}
