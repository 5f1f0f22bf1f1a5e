"""What an annotation reserves and spends."""

from __future__ import annotations


def test_calls_are_reserved_within_the_limit_in_flight_and_what_waits_for_experts_as_it_is_queued(house):
    with house.server() as channel:
        house.annotate(channel, house.request(house.known_answers(channel), run_id="r-1"))
    ledger = house.neighbours
    assert len(ledger.reserved) == len(set(ledger.reserved)) == 12
    assert ledger.most_in_flight_of["oracle"] == 3
    assert ledger.most_in_flight_of["expert"] == 8
    assert ledger.in_flight == set()
    assert all(key.startswith("r-1/arm/0/") for key in ledger.reserved)
    assert {cost.kind: cost.is_simulated for cost in ledger.settled} == {"oracle": True, "expert": True}
    assert {cost.expert_seconds for cost in ledger.settled if cost.kind == "expert"} == {30.0}
    assert all(cost.usd > 0 and cost.tokens > 255 for cost in ledger.settled if cost.kind == "oracle")


def test_without_a_run_no_ledger_is_asked(house):
    with house.server() as channel:
        rows, _, _ = house.annotate(channel, house.request(house.known_answers(channel), run_id=""))
    assert len(rows) == 8
    assert house.neighbours.reserved == []


def test_a_spent_budget_ends_the_calls_and_says_so(house):
    house.neighbours.limit = 8  # four samples, and the first three reviews
    with house.server() as channel:
        rows, unanswered, summary = house.annotate(channel, house.request(house.known_answers(channel)))
    assert len(rows) == 3
    assert {row.reason for row in unanswered} == {"The budget is spent."}
    assert len(unanswered) == 5
    assert summary.stopped == {"oracle": "", "expert": "The budget is spent."}
