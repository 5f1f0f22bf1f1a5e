"""The ledger of a run over the wire."""

from __future__ import annotations

from medq.controller.v1 import controller_pb2 as pb
from shared.errors import BudgetExhausted, FailedPrecondition
from shared.rpc.operations import await_operation
from tests.support.controller_house import controller_stub, error_of, list_costs, start


def test_costs_are_reserved_within_the_limits_of_the_run(house):
    with house.controller() as channel:
        stub = controller_stub(channel)
        start(channel, house, rounds=0, stop={"max_usd": 1.5})
        await_operation(channel, "r1")

        def reserve(key, run_id="r1"):
            costs = [pb.Cost(key=key, kind="oracle", usd=1, tokens=9, is_simulated=True)]
            return stub.ReserveCosts, pb.ReserveCostsRequest(run_id=run_id, costs=costs)

        call, request = reserve("a")
        assert list(call(request).unknown_keys) == []
        assert isinstance(error_of(*reserve("b")), BudgetExhausted)
        stub.SettleCosts(
            pb.SettleCostsRequest(run_id="r1", costs=[pb.Cost(key="a", kind="oracle", usd=0.25, tokens=3)])
        )
        call, request = reserve("b")
        call(request)
        own = [entry for entry in list_costs(stub, "r1") if entry.cost.kind == "oracle"]
        assert [(entry.cost.key, entry.state, entry.cost.usd) for entry in own] == [
            ("a", "settled", 0.25),
            ("b", "reserved", 1.0),
        ]
        for _ in range(3):  # a run that the controller does not know has no limits
            call, request = reserve("x", "stranger")
            unknown = call(request).unknown_keys
        assert list(unknown) == ["x"]
        assert [entry.attempt for entry in list_costs(stub, "stranger")] == [1, 2, 3]


def test_wrong_costs_are_refused(house):
    with house.controller() as channel:
        stub = controller_stub(channel)
        nameless = pb.ReserveCostsRequest(costs=[pb.Cost(key="a", kind="oracle")])
        assert error_of(stub.ReserveCosts, nameless).field == "run_id"
        lunch = pb.ReserveCostsRequest(run_id="r", costs=[pb.Cost(key="a", kind="lunch")])
        assert error_of(stub.ReserveCosts, lunch).field == "costs.kind"
        many = pb.ReserveCostsRequest(run_id="r", costs=[pb.Cost(key=str(n), kind="oracle") for n in range(1001)])
        assert error_of(stub.ReserveCosts, many).field == "costs"
        early = pb.SettleCostsRequest(run_id="r", costs=[pb.Cost(key="a", kind="oracle")])
        assert isinstance(error_of(stub.SettleCosts, early), FailedPrecondition)
        token = pb.ListCostsRequest(run_id="r", page_token="x")
        assert error_of(stub.ListCosts, token).field == "page_token"
