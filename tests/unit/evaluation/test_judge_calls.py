"""A judge at an endpoint that fails at times, with the controller's own ledger and audit."""

from __future__ import annotations

import json
from collections import Counter
from concurrent import futures

import grpc
import pytest

from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub, add_ControllerServiceServicer_to_server
from services.controller.loop.calls import Collaborators
from services.controller.service import Controller
from services.controller.store.egress import METADATA as EGRESS
from services.controller.store.egress import EgressLog
from services.controller.store.ledger import METADATA as LEDGER
from services.controller.store.ledger import Ledger
from services.controller.store.runs import METADATA as RUNS
from services.controller.store.runs import RunStore
from services.evaluation.domain.grading import AXES
from services.evaluation.store import METADATA, JudgeReplyStore, VerdictStore
from services.evaluation.work.grading import TRIES, Grader, Pair
from services.evaluation.work.judge_calls import EndpointJudge, SiteJudges
from shared.chat.endpoints import Endpoint
from shared.errors import Cancelled, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unavailable
from shared.outside.calls import OutsideCalls
from shared.outside.endpoint import SiteEndpoints
from shared.outside.probe import ENOUGH
from shared.paths import ANYWHERE
from shared.rows.evaluation import Judgement
from shared.rpc.channels import Channels
from shared.rpc.interceptors import ErrorInterceptor
from tests.support.chat_server import chat_server, cuts, refuses, says
from tests.support.databases import sqlite_database
from tests.support.servers import short_folder

PAIRS = [Pair("Noisy.", f"Reply {number}.") for number in range(3)]
GRADED = says('{"grade": 1}')


class World:
    """A server, the controller's ledger and audit, and judges that wait for nothing."""

    def __init__(self, server, engine, stub):
        self.server, self.stub, self.engine = server, stub, engine
        self.ledger, self.egress = Ledger(engine), EgressLog(engine)
        self.replies, self.verdicts = JudgeReplyStore(engine), VerdictStore(engine)
        server.otherwise = GRADED

    def site(self, **changes):
        values = {
            "base_url": self.server.base_url,
            "model": "gpt-4o",
            "usd_per_million": {"in": 2.5, "out": 10.0},
            "prices_of": "2026-11-01",
            "max_in_flight": 4,
            "tries": 3,
            "may_receive": "text",
            **changes,
        }
        return SiteEndpoints({"judge": Endpoint.model_validate(values)}, lambda pixels: 1.0, quarantine_from=0.0)

    def grader(self, work_id="work", look=lambda done, total: None, **changes):
        endpoint = self.site(**changes).open("judge", "judge", "text", "judge")
        calls = OutsideCalls(self.replies, self.stub, lambda seconds: None)
        return Grader(EndpointJudge(endpoint, calls, self.replies, "run", work_id), self.verdicts, look)

    @property
    def states(self):
        return Counter((entry.cost.kind, entry.state) for entry in self.ledger.all_entries("run"))

    @property
    def usd(self):
        return sum(entry.cost.usd for entry in self.ledger.all_entries("run") if entry.state == "settled")


@pytest.fixture
def world(tmp_path):
    with sqlite_database(tmp_path) as database, short_folder() as folder, chat_server() as chat:
        engine = database.engine(LEDGER, RUNS, EGRESS, METADATA)
        server = grpc.server(futures.ThreadPoolExecutor(4), interceptors=[ErrorInterceptor("controller")])
        parts = Collaborators(None, None, RunStore(engine), Ledger(engine), None, None)
        servicer = Controller(None, parts, {}, ANYWHERE, EgressLog(engine))
        add_ControllerServiceServicer_to_server(servicer, server)
        server.add_insecure_port(f"unix:{folder}/c.sock")
        server.start()
        with grpc.insecure_channel(f"unix:{folder}/c.sock") as channel:
            yield World(chat, engine, ControllerServiceStub(channel))
        server.stop(0).wait()


def test_every_grade_is_paid_by_the_run_and_every_request_is_text_in_the_audit(world):
    graded = world.grader().grade(PAIRS)
    assert all(isinstance(graded[pair], Judgement) for pair in PAIRS)
    n = len(PAIRS) * len(AXES)
    assert world.states == {("judge", "settled"): n}
    assert world.usd == pytest.approx(world.server.usd(2.5, 10.0))
    left = world.egress.page("", 1000)[0]
    assert len(left) == n
    assert {(one.leaving.purpose, one.leaving.image_id) for one in left} == {("judge", "")}
    for asked in world.server.asked:
        assert isinstance(asked.content, str)
        assert (asked.body["model"], asked.body["temperature"]) == ("gpt-4o", 0.0)
        assert asked.body["response_format"]["json_schema"]["schema"]["properties"]["grade"]["enum"] == [0, 1, 2]


def test_what_fails_at_times_is_tried_again_and_garbage_is_asked_again(world):
    world.server.script += [refuses(429), says("I like it."), cuts, refuses(503)]
    graded = world.grader().grade(PAIRS)
    assert all(isinstance(graded[pair], Judgement) for pair in PAIRS)
    n = len(PAIRS) * len(AXES)
    assert world.states == {("judge", "settled"): n + 1, ("judge", "released"): 2, ("judge", "unknown"): 1}
    assert world.usd == pytest.approx(world.server.usd(2.5, 10.0))


def test_what_was_answered_before_the_endpoint_went_down_is_kept(world):
    world.server.script += [GRADED] * 4
    world.server.otherwise = refuses(503)
    graded = world.grader(tries=1).grade(PAIRS)
    assert sum(isinstance(graded[pair], Unavailable) for pair in PAIRS) >= 2
    world.server.otherwise, n_asked = GRADED, len(world.server.asked)
    graded = world.grader("another").grade(PAIRS)
    assert all(isinstance(graded[pair], Judgement) for pair in PAIRS)
    assert len(world.server.asked) - n_asked == len(PAIRS) * len(AXES) - 4


def test_an_evaluation_that_goes_on_pays_for_nothing_twice(world):
    def stop(done, total):
        if done:
            raise Cancelled("The work was called off.")

    with pytest.raises(Cancelled):
        world.grader(look=stop).grade(PAIRS)
    world.grader().grade(PAIRS)
    assert len(world.server.asked) == len(PAIRS) * len(AXES)
    assert world.states == {("judge", "settled"): len(PAIRS) * len(AXES)}


def test_a_judge_that_is_of_no_use_ends_the_evaluation_after_its_first_answers(world):
    pairs = [Pair("Noisy.", f"Reply {number}.") for number in range(20)]
    world.server.otherwise = says("It is a secret.")
    world.server.script.append(says("{", finish="length"))
    with pytest.raises(FailedPrecondition) as caught:
        world.grader().grade(pairs)
    n = TRIES * ENOUGH
    assert len(world.server.asked) == n
    assert world.usd == pytest.approx(world.server.usd(2.5, 10.0))
    said = caught.value
    assert (said.field, said.value) == ("judge", "gpt-4o")
    assert f"1 were cut at their longest length, and {n - 1} were not the JSON object" in said.message
    assert f"{world.usd:.4f} USD ({n * 105} tokens)" in said.message
    assert "secret" not in str(said)
    world.server.otherwise = GRADED
    assert all(isinstance(one, Judgement) for one in world.grader("another").grade(pairs).values())
    assert len(world.server.asked) == n + len(pairs) * len(AXES)


def test_a_text_that_the_endpoint_refuses_costs_its_own_grades_alone(world):
    world.server.otherwise = says(lambda body: '{"grade": 1}')
    world.server.script.append(refuses(400))
    graded = world.grader().grade(PAIRS)
    (refused,) = (found for pair in PAIRS if isinstance(found := graded[pair], InvalidArgument))
    assert "endpoint" in refused.remedy


def test_a_site_without_the_endpoint_or_that_keeps_texts_in_lets_nobody_judge(world):
    channels = Channels({"controller": "unix:/nowhere"})
    with channels, pytest.raises(NotFound):
        SiteJudges(world.site(), world.replies, channels)("gpt-9", "run", "work")
    with channels, pytest.raises(PermissionDenied, match="needs text"):
        SiteJudges(world.site(may_receive="nothing"), world.replies, channels)("judge", "run", "work")
    assert world.server.asked == []


def test_a_grade_whose_usage_was_not_stated_is_marked_in_the_ledger(world):
    world.server.otherwise = says('{"grade": 1}', usage=None)
    world.grader().grade(PAIRS[:1])
    entries = world.ledger.all_entries("run")
    assert [entry.cost.is_usage_unstated for entry in entries] == [True] * len(AXES)
    assert not any(one.spending.is_stated for one in world.replies.outcomes("work", "judge").values())


def test_a_reply_is_stored_as_it_came(world):
    world.server.script.append(says(json.dumps({"grade": 0})))
    world.grader().grade(PAIRS[:1])
    assert len(world.replies.outcomes("work", "judge")) == len(AXES)
    assert world.replies.outcomes("other", "judge") == {}
