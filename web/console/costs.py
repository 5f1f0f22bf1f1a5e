"""What a run has cost: what is spent, what is reserved, and what may be; and what the answers of each round cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from medq.controller.v1.controller_pb2 import LedgerEntry, ListCostsRequest
from medq.controller.v1.controller_pb2_grpc import ControllerServiceStub
from shared.pages.words import NOTHING, dollars, hours
from web.calls import Services

Json = dict[str, Any]
#: Pages of the ledger that a page of the console reads; a curve against cost is not drawn over a part of it.
_MOST_PAGES = 20
_PAGE_SIZE = 1_000
#: Kinds whose cost is dollars, as the ledger names them, and what people call them.
_PAID = (("oracle", "oracle"), ("judge", "judge"))


def cost_rows(report: Json) -> list[Json]:
    """The table of costs; what may have been paid counts as spent.

    Returns: Rows of `name`, and `spent`, `reserved`, `limit`, `note` as texts, and whether it `is_simulated` in part.
    """
    ledger, stop = report["measured"]["ledger"], report["config"]["stop"]
    rows = [_row(name, ledger.get(kind, {}), "usd") for kind, name in _PAID if kind in ledger]
    rows.append(_row("dollars in all", ledger.get("total", {}), "usd", stop["max_usd"]))
    limit = stop["max_expert_hours"]
    rows.append(_row("experts", ledger.get("expert", {}), "expert_seconds", None if limit is None else limit * 3600))
    rows.append(_row("computers", ledger.get("compute", {}), "compute_seconds"))
    return rows


def price_of_a_point(report: Json) -> str:
    """Dollars for each point gained on test, of all arms; a sentence where no gain is told apart from none."""
    gain, spent = report["result"]["gain"], _sum(report["measured"]["ledger"].get("total", {}), "usd", reserved=False)
    if gain is None:
        return "no model has been trained and measured yet, or the base model comes out"
    if gain["low"] is None or gain["low"] <= 0:
        return "the gain is not told apart from no gain"
    return dollars(spent / (100 * gain["value"]))


def share_of_budget(report: Json) -> str:
    """How much of its limits is committed, as a sentence."""
    ledger, stop = report["measured"]["ledger"].get("total", {}), report["config"]["stop"]
    parts = []
    if stop["max_usd"]:
        used = _sum(ledger, "usd", reserved=False) + _sum(ledger, "usd", reserved=True)
        parts.append(f"{used / stop['max_usd']:.0%} of its {dollars(stop['max_usd'])}".replace("%", " %"))
    if stop["max_expert_hours"]:
        used = sum(_sum(ledger, "expert_seconds", reserved=one) for one in (False, True))
        share = f"{used / 3600 / stop['max_expert_hours']:.0%}".replace("%", " %")
        parts.append(f"{share} of its {stop['max_expert_hours']:g} hours of experts")
    return f"It has used {' and '.join(parts)}." if parts else "It has no limit of money or of experts' time."


def dollars_before(services: Services, run_id: str, arms: Iterable[str]) -> dict[str, dict[int, float]] | None:
    """What the answers of an arm had cost before each round, in US dollars; None where the ledger is too long to read here."""
    stub, token = services.stub("controller", ControllerServiceStub), ""
    entries: list[LedgerEntry] = []
    for _ in range(_MOST_PAGES):
        found = stub.ListCosts(ListCostsRequest(run_id=run_id, page_size=_PAGE_SIZE, page_token=token))
        entries += found.entries
        token = found.next_page_token
        if not token:
            return {arm: _before(entries, f"{run_id}/{arm}/") for arm in arms}
    return None


def _before(entries: Iterable[LedgerEntry], prefix: str) -> dict[int, float]:
    """Dollars before each round: an answer's key begins with run, arm and round."""
    by_round: dict[int, float] = defaultdict(float)
    for entry in entries:
        number = entry.cost.key.removeprefix(prefix).partition("/")[0]
        if entry.cost.key.startswith(prefix) and number.isdigit():
            by_round[int(number)] += entry.cost.usd
    last = max(by_round, default=-1)
    return {number: sum(by_round[before] for before in range(number)) for number in range(last + 2)}


def _row(name: str, states: Json, figure: str, limit: float | None = None) -> Json:
    told = dollars if figure == "usd" else hours
    reserved = _sum(states, figure, reserved=True)
    return {
        "name": name,
        "spent": told(_sum(states, figure, reserved=False)),
        "reserved": told(reserved) if reserved else NOTHING,
        "limit": NOTHING if limit is None else told(limit),
        "is_simulated": any(sums["n_simulated"] for sums in states.values()),
    }


def _sum(states: Json, figure: str, *, reserved: bool) -> float:
    counted = ("reserved",) if reserved else ("settled", "unknown")
    return float(sum(states[state][figure] for state in counted if state in states))
