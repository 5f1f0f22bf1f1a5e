"""The judge at an endpoint: each reply paid once, kept, and in the ledger and the audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import pytest
import sqlalchemy as sa

from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from services.evaluation.adapters.endpoint_judge import JudgeReply, open_judges
from services.evaluation.ports import JudgeCalls
from services.evaluation.store import JUDGE_REPLIES, METADATA
from shared.chat.endpoints import Endpoint
from shared.chat.messages import ChatReply, ChatRequest
from shared.errors import BudgetExhausted, InvalidArgument, MedqError, NotFound, PermissionDenied, Unavailable
from shared.outside.calls import OutsideCalls
from shared.outside.endpoint import SiteEndpoints
from shared.outside.outcomes import StoredOutcomes
from tests.support.annotation import FakeNeighbours
from tests.support.chat_server import ChatServer, chat_server, cuts, refuses, says
from tests.support.servers import short_folder

REQUESTS = {f"v{number}": ChatRequest(f"reply {number}", max_tokens=20) for number in range(6)}


class Court:
    """A judge's server, and a controller that notes."""

    def __init__(self, server: ChatServer, controller: FakeNeighbours, stub: ControllerServiceStub, engine: sa.Engine):
        self.server, self.controller, self.stub = server, controller, stub
        self.store = StoredOutcomes(engine, JUDGE_REPLIES, JudgeReply)

    def judge(self, run_id: str = "run", work_id: str = "run/arm/0/evaluate_dev", **changes: object) -> JudgeCalls:
        values = {
            "base_url": self.server.base_url,
            "model": "gpt-4o",
            "usd_per_million": {"in": 2.5, "out": 10},
            "prices_of": "2026-11-01",
            "may_receive": "text",
            **changes,
        }
        site = SiteEndpoints({"wise": Endpoint.model_validate(values)})
        calls = OutsideCalls(self.store, self.stub, pause=lambda seconds: None)
        return open_judges(site, calls, self.store)("wise", run_id, work_id)

    def ask(self, judge: JudgeCalls, requests: Mapping[str, ChatRequest] = REQUESTS) -> Mapping[str, object]:
        return judge.ask(requests, lambda done: None)


@pytest.fixture
def court(tmp_path: Path) -> Iterator[Court]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'evaluation.sqlite'}")
    METADATA.create_all(engine)
    with short_folder() as folder, chat_server() as chat:
        controller = FakeNeighbours(None)
        server, targets = controller.serve(folder)
        with grpc.insecure_channel(targets["controller"]) as channel:
            yield Court(chat, controller, ControllerServiceStub(channel), engine)
        server.stop(0).wait()
    engine.dispose()


def test_each_reply_is_in_the_ledger_and_in_the_audit_and_paid_once(court: Court) -> None:
    first = court.ask(court.judge())
    again = court.ask(court.judge())
    assert {name: reply.text for name, reply in first.items() if isinstance(reply, ChatReply)} == dict.fromkeys(
        REQUESTS, "Yes."
    )
    assert first == again
    assert len(court.server.asked) == len(court.controller.settled) == len(court.controller.egress) == 6
    assert {cost.kind for cost in court.controller.settled} == {"judge"}
    assert sum(cost.usd for cost in court.controller.settled) == pytest.approx(court.server.usd(2.5, 10))
    assert {(row.purpose, row.image_id) for row in court.controller.egress} == {("judge", "")}


def test_what_is_for_no_run_has_no_accounts_and_is_in_the_audit(court: Court) -> None:
    court.ask(court.judge(run_id="", work_id="by-hand"))
    assert not court.controller.reserved
    assert len(court.controller.egress) == 6


def test_a_judge_that_is_down_gives_no_reply_and_what_it_said_before_is_kept(court: Court) -> None:
    some = {name: REQUESTS[name] for name in ("v0", "v1")}
    court.ask(court.judge(), some)
    court.server.otherwise = refuses(503)
    replies = court.ask(court.judge())
    assert [isinstance(replies[name], ChatReply) for name in REQUESTS] == [True] * 2 + [False] * 4
    assert all(isinstance(replies[name], Unavailable) for name in list(REQUESTS)[2:])


@pytest.mark.parametrize(("behaviour", "kind"), [(refuses(400), InvalidArgument), (cuts, MedqError)])
def test_a_reply_that_fails_costs_that_reply(court: Court, behaviour: object, kind: type[MedqError]) -> None:
    def behave(server: ChatServer, handler: object, body: dict[str, object]) -> None:
        (behaviour if "reply 3" in str(body) else says("Yes."))(server, handler, body)  # type: ignore[operator, arg-type]

    court.server.otherwise = behave
    replies = court.ask(court.judge())
    assert [name for name, reply in replies.items() if isinstance(reply, kind)] == ["v3"]


def test_a_budget_that_is_spent_leaves_replies_without_a_judge(court: Court) -> None:
    court.controller.limit = 3
    replies = court.ask(court.judge(max_in_flight=2))
    assert [isinstance(reply, BudgetExhausted) for reply in replies.values()] == [False] * 2 + [True] * 4


def test_a_judge_that_knows_no_key_ends_the_work(court: Court) -> None:
    court.server.otherwise = refuses(401)
    with pytest.raises(PermissionDenied):
        court.ask(court.judge())


def test_an_endpoint_that_may_receive_nothing_is_no_judge(court: Court) -> None:
    with pytest.raises(PermissionDenied):
        court.judge(may_receive="nothing")
    with pytest.raises(NotFound):
        open_judges(SiteEndpoints({}), OutsideCalls(court.store, court.stub), court.store)("wise", "run", "work")
