import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from services.controller.domain.ledger import Cost, Entry, Limits, expert_time, is_spent, of_arm, require_within, totals
from services.controller.store.ledger import METADATA, Ledger
from shared.errors import AlreadyExists, BudgetExhausted, FailedPrecondition, InvalidArgument


@pytest.fixture
def ledger(database):
    return Ledger(database.engine(METADATA))


def states(ledger, run="r"):
    return [(entry.cost.key, entry.attempt, entry.state) for entry in ledger.all_entries(run)]


def test_an_open_reservation_of_the_same_key_becomes_unknown(ledger):
    assert ledger.reserve("r", [Cost("a", "oracle", usd=1)], Limits()) == []
    assert ledger.reserve("r", [Cost("b", "oracle"), Cost("a", "oracle", usd=2)], Limits()) == ["a"]
    assert states(ledger) == [("a", 1, "unknown"), ("b", 1, "reserved"), ("a", 2, "reserved")]


def test_a_settled_key_that_is_reserved_again_was_paid_twice(ledger):
    for price in (0.5, 0.5, 0.25):
        assert ledger.reserve("r", [Cost("a", "oracle", usd=1)], Limits()) == []
        ledger.settle("r", [Cost("a", "oracle", usd=price)])
    assert states(ledger) == [("a", 1, "settled"), ("a", 2, "settled"), ("a", 3, "settled")]
    assert ledger.committed("r") == (1.25, 0.0)


def test_the_same_request_reserves_once_and_has_the_same_answer(ledger):
    ledger.reserve("r", [Cost("b", "oracle", usd=1)], Limits())
    costs = [Cost("a", "oracle", usd=1), Cost("b", "oracle", usd=1)]
    for _ in range(3):
        assert ledger.reserve("r", costs, Limits(max_usd=3), "one") == ["b"]
    ledger.settle("r", costs)
    assert ledger.reserve("r", costs, Limits(max_usd=3), "one") == ["b"]
    assert states(ledger) == [("b", 1, "unknown"), ("a", 1, "settled"), ("b", 2, "settled")]


def test_a_request_id_with_other_keys_is_refused(ledger):
    ledger.reserve("r", [Cost("a", "oracle")], Limits(), "one")
    with pytest.raises(AlreadyExists, match="request id"):
        ledger.reserve("r", [Cost("a", "oracle"), Cost("b", "oracle")], Limits(), "one")
    assert states(ledger) == [("a", 1, "reserved")]


def test_what_was_released_counts_nothing_and_is_tried_anew(ledger):
    costs = [Cost(key, "oracle", usd=1) for key in "ab"]
    ledger.reserve("r", costs, Limits(max_usd=2), "one")
    for _ in range(2):
        ledger.release("r", "one", ["a", "b"])
    assert ledger.committed("r") == (0.0, 0.0)
    assert ledger.reserve("r", costs, Limits(max_usd=2), "two") == []
    ledger.settle("r", costs)
    assert states(ledger) == [("a", 1, "released"), ("b", 1, "released"), ("a", 2, "settled"), ("b", 2, "settled")]


def test_a_call_whose_end_nobody_knows_counts_as_reserved_and_stays_unknown(ledger):
    ledger.reserve("r", [Cost("a", "oracle", usd=1)], Limits(), "one")
    ledger.release("r", "one", [], ["a"])
    assert ledger.reserve("r", [Cost("a", "oracle", usd=1)], Limits(), "two") == ["a"]
    assert states(ledger) == [("a", 1, "unknown"), ("a", 2, "reserved")]
    assert ledger.committed("r") == (2.0, 0.0)


def test_only_what_a_request_reserved_and_what_is_open_is_released(ledger):
    ledger.reserve("r", [Cost("a", "oracle", usd=1), Cost("b", "oracle", usd=1)], Limits(), "one")
    ledger.settle("r", [Cost("a", "oracle", usd=1)])
    ledger.reserve("r", [Cost("b", "oracle", usd=1)], Limits(), "two")
    ledger.release("r", "one", ["a", "b", "c"], ["b"])
    assert states(ledger) == [("a", 1, "settled"), ("b", 1, "unknown"), ("b", 2, "reserved")]


def test_what_is_on_record_is_entered_where_the_ledger_has_lost_it_and_once(ledger):
    ledger.reserve("r", [Cost("a", "oracle", usd=1), Cost("b", "oracle", usd=1), Cost("d", "oracle", usd=1)], Limits())
    ledger.settle("r", [Cost("a", "oracle", usd=1), Cost("d", "oracle", usd=9)])
    on_record = [Cost(key, "oracle", usd=1) for key in "abcd"]
    for _ in range(2):
        ledger.settle("r", on_record, is_on_record=True)
    assert states(ledger) == [
        ("a", 1, "settled"), ("b", 1, "settled"), ("d", 1, "settled"), ("c", 1, "settled"), ("d", 2, "settled"),
    ]  # fmt: skip
    assert ledger.committed("r") == (13.0, 0.0)


def test_all_costs_are_reserved_or_none(ledger):
    with pytest.raises(BudgetExhausted, match="max_usd"):
        ledger.reserve("r", [Cost("a", "oracle", usd=1), Cost("b", "oracle", usd=2)], Limits(max_usd=2.5))
    assert states(ledger) == []


def test_unknown_attempts_count_against_the_limit(ledger):
    ledger.reserve("r", [Cost("a", "oracle", usd=1)], Limits(max_usd=2))
    ledger.reserve("r", [Cost("a", "oracle", usd=1)], Limits(max_usd=2))
    with pytest.raises(BudgetExhausted):
        ledger.reserve("r", [Cost("a", "oracle", usd=1)], Limits(max_usd=2))
    assert states(ledger) == [("a", 1, "unknown"), ("a", 2, "reserved")]


def test_runs_do_not_share_a_budget(ledger):
    ledger.reserve("one", [Cost("a", "oracle", usd=2)], Limits(max_usd=2))
    ledger.reserve("two", [Cost("a", "oracle", usd=2)], Limits(max_usd=2))
    assert ledger.committed("two") == (2.0, 0.0)


def test_settling_again_at_the_same_figures_changes_nothing(ledger):
    ledger.reserve("r", [Cost("a", "expert", expert_seconds=9)], Limits())
    for _ in range(2):
        ledger.settle("r", [Cost("a", "expert", expert_seconds=3)])
    assert states(ledger) == [("a", 1, "settled")]
    with pytest.raises(AlreadyExists):
        ledger.settle("r", [Cost("a", "expert", expert_seconds=4)])


def test_that_no_usage_was_stated_is_kept_and_is_no_other_figure(ledger):
    ledger.reserve("r", [Cost("a", "oracle", usd=2)], Limits())
    ledger.settle("r", [Cost("a", "oracle", usd=2, is_usage_unstated=True)])
    ledger.settle("r", [Cost("a", "oracle", usd=2)], is_on_record=True)
    (entry,) = ledger.all_entries("r")
    assert (entry.state, entry.cost.usd, entry.cost.is_usage_unstated) == ("settled", 2.0, True)


def test_what_was_never_reserved_cannot_be_settled(ledger):
    ledger.reserve("r", [Cost("a", "oracle")], Limits())
    with pytest.raises(FailedPrecondition):
        ledger.settle("r", [Cost("a", "oracle", usd=1), Cost("b", "oracle")])
    assert states(ledger) == [("a", 1, "reserved")]


@pytest.mark.parametrize(
    "costs",
    [
        [Cost("", "oracle")],
        [Cost("a", "lunch")],
        [Cost("a", "oracle", usd=-1)],
        [Cost("a", "oracle", expert_seconds=math.nan)],
        [Cost("a", "oracle", usd=1e13)],
        [Cost("a", "oracle", tokens=2**64 - 1)],
        [Cost("a", "oracle"), Cost("a", "oracle")],
    ],
)
def test_a_cost_that_is_none_is_refused(costs, ledger):
    with pytest.raises(InvalidArgument):
        ledger.reserve("r", costs, Limits())


def test_pages_of_entries_follow_each_other(ledger):
    ledger.reserve("r", [Cost(f"k{n}", "oracle") for n in range(5)], Limits())
    first, following = ledger.entries("r", 3)
    second, end = ledger.entries("r", 3, following)
    assert [entry.cost.key for entry in first + second] == [f"k{n}" for n in range(5)]
    assert end is None


def test_what_asks_for_nothing_fits_under_a_spent_limit():
    require_within(Limits(max_usd=1), usd=5, expert_seconds=0, more_usd=0, more_expert_seconds=10)


@pytest.mark.parametrize(("n", "usd", "limit"), [(3, 0.1, 0.3), (3, 0.7, 2.1), (10_000, 0.003, 30.0)])
def test_a_budget_pays_exactly_what_it_is_the_sum_of(n, usd, limit):
    limits, spent = Limits(max_usd=limit), 0.0
    for _ in range(n):
        assert not is_spent(limits, spent, 0)
        require_within(limits, spent, 0, usd, 0)
        spent += usd
    assert is_spent(limits, spent, 0)
    with pytest.raises(BudgetExhausted):
        require_within(limits, spent, 0, usd, 0)


def test_a_budget_is_spent_when_it_is_reached():
    assert is_spent(Limits(max_usd=1), 1, 0)
    assert is_spent(Limits(max_expert_seconds=3600), 0, 3600)
    assert not is_spent(Limits(), 1e9, 1e9)


def test_totals_add_up_by_kind_and_state():
    entries = [
        Entry(Cost("a", "oracle", usd=1, tokens=10, is_simulated=True), 1, "settled"),
        Entry(Cost("b", "oracle", usd=2, is_usage_unstated=True), 1, "settled"),
        Entry(Cost("c", "expert", expert_seconds=3), 1, "unknown"),
    ]
    sums = totals(entries)
    assert sums["oracle"]["settled"] == {
        "n": 2, "n_simulated": 1, "usd": 3.0, "tokens": 10, "expert_seconds": 0.0, "compute_seconds": 0.0,
        "n_usage_unstated": 1, "usd_usage_unstated": 2.0,
    }  # fmt: skip
    assert sums["total"]["unknown"]["expert_seconds"] == 3


def test_reservations_at_the_same_time_stay_within_the_limit(database):
    def reserve(number):
        with suppress(BudgetExhausted):
            Ledger(database.engine()).reserve("r", [Cost(f"k{number}", "oracle", usd=1)], Limits(max_usd=3))

    ledger = Ledger(database.engine(METADATA))
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(reserve, range(6)))
    assert ledger.committed("r") == (3.0, 0.0)


def test_an_entry_is_of_the_arm_that_its_key_names():
    keys = ["r/a/0/oracle/x", "compute/r/a/0/train", "r/ab/0/oracle/x", "compute/r/-/0/import_pool", "s/a/0/oracle/x"]
    entries = [Entry(Cost(key, "oracle"), 1, "settled") for key in keys]
    assert [entry.cost.key for entry in of_arm(entries, "r", "a")] == keys[:2]
    assert [entry.cost.key for entry in of_arm(entries, "r", "a", 0)] == keys[:2]
    assert of_arm(entries, "r", "a", 1) == []


def test_the_time_of_experts_is_what_was_worked_or_may_have_been():
    def seconds(state, kind="expert", is_simulated=False):
        return Entry(Cost("r/a/0/x", kind, expert_seconds=2.5, is_simulated=is_simulated), 1, state)

    found = expert_time(
        [seconds("settled"), seconds("unknown"), seconds("reserved"), seconds("released", is_simulated=True)]
    )
    assert found == {"seconds": 7.5, "is_simulated": False}
    assert expert_time([seconds("settled"), seconds("settled", is_simulated=True)])["is_simulated"]
    assert expert_time([]) == {"seconds": 0, "is_simulated": False}
