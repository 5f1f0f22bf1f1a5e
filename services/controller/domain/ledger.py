"""The budget ledger: what a cost is, what a run may still reserve, and what a run has cost. Knows nothing of tables.

Each attempt at a piece of work is a row. It is reserved before the work is dispatched, and ends in one of three ways:

| state | what is known | counts |
|---|---|---|
| settled | it was paid | what it was |
| released | it was not paid: the work never began, or was refused | nothing |
| unknown | neither: the process died in between, or the answer was lost | its reserved figures |

Two settled attempts at the same work were both paid, and both count: a restored database had lost what the first one brought.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shared.errors import BudgetExhausted, InvalidArgument

RESERVED, SETTLED, UNKNOWN, RELEASED = "reserved", "settled", "unknown", "released"
KINDS = ("oracle", "expert", "judge", "compute")
#: No piece of work costs more of anything; sums of such figures stay numbers.
LARGEST_FIGURE = 1e12
_ROUNDING = 1e-9
_FIGURES = ("usd", "tokens", "expert_seconds", "compute_seconds")
_NO_ENTRY = {"n": 0, "n_simulated": 0, "n_usage_unstated": 0, "usd_usage_unstated": 0.0}


@dataclass(frozen=True)
class Cost:
    """What one piece of work costs; `key` names the work and is the same after a restart.

    Attributes:
        kind: One of `KINDS`.
        usd: US dollars, >= 0.
        tokens: Tokens in and out.
        expert_seconds: Active time of an expert, >= 0.
        compute_seconds: Time of a process's work, >= 0.
        is_simulated: The figures are simulated.
        is_usage_unstated: The endpoint did not state what was used: the figures are the most that it may have cost.
    """

    key: str
    kind: str
    usd: float = 0.0
    tokens: int = 0
    expert_seconds: float = 0.0
    compute_seconds: float = 0.0
    is_simulated: bool = False
    is_usage_unstated: bool = False


@dataclass(frozen=True)
class Entry:
    """A row: the cost, which attempt at the work it is (from 1), and its state. What was released costs nothing."""

    cost: Cost
    attempt: int
    state: str


@dataclass(frozen=True)
class Limits:
    """What a run may spend; None is no limit."""

    max_usd: float | None = None
    max_expert_seconds: float | None = None


def require_valid(costs: Iterable[Cost]) -> None:
    """Check costs that came from outside.

    Raises:
        InvalidArgument: An empty or repeated key, an unknown kind, or a figure outside 0..`LARGEST_FIGURE`.
    """
    seen: set[str] = set()
    for cost in costs:
        if not cost.key or len(cost.key) > 300:
            raise InvalidArgument("A cost needs a key of 1 to 300 characters.", field="costs.key", value=cost.key)
        if cost.key in seen:
            raise InvalidArgument("A key may stand once in a request.", field="costs.key", value=cost.key)
        if cost.kind not in KINDS:
            raise InvalidArgument(
                "Unknown kind of cost.", field="costs.kind", value=cost.kind, remedy=f"One of {', '.join(KINDS)}."
            )
        for name in _FIGURES:
            figure = getattr(cost, name)
            if not 0 <= figure <= LARGEST_FIGURE:  # NaN is outside
                raise InvalidArgument(
                    "A cost is out of range.",
                    field=f"costs.{name}",
                    value=figure,
                    remedy=f"Choose 0..{LARGEST_FIGURE:g}.",
                )
        seen.add(cost.key)


def require_within(
    limits: Limits, usd: float, expert_seconds: float, more_usd: float, more_expert_seconds: float
) -> None:
    """Check that what is asked for fits under the limits; what asks for nothing of a kind always fits.

    Args:
        limits: The run's limits.
        usd: US dollars that count already: settled, reserved and unknown.
        expert_seconds: Likewise.
        more_usd: US dollars asked for.
        more_expert_seconds: Likewise.

    Raises:
        BudgetExhausted: A limit would be passed.
    """
    pairs = (
        ("stop.max_usd", limits.max_usd, usd, more_usd),
        ("stop.max_expert_hours", limits.max_expert_seconds, expert_seconds, more_expert_seconds),
    )
    for field, limit, committed, more in pairs:
        # Sums of decimal figures are off in their last bits: ten calls at 0.1 dollars fit under 1 dollar.
        if limit is not None and more > 0 and committed + more > limit * (1 + _ROUNDING):
            raise BudgetExhausted(
                "The run's budget does not cover this.",
                field=field,
                value=limit,
                remedy="Raise the limit in the configuration and start a new run.",
            )


def is_spent(limits: Limits, usd: float, expert_seconds: float) -> bool:
    """True once a limit is reached, so that no further round can be paid."""
    pairs = ((limits.max_usd, usd), (limits.max_expert_seconds, expert_seconds))
    return any(limit is not None and spent >= limit * (1 - _ROUNDING) for limit, spent in pairs)


def of_arm(entries: Iterable[Entry], run_id: str, arm: str, number: int | None = None) -> list[Entry]:
    """The entries of an arm, or of one round of it; what all arms share, such as the import of the pool, is of none."""
    place = f"{run_id}/{arm}/" if number is None else f"{run_id}/{arm}/{number}/"
    own = (place, f"compute/{place}")
    return [entry for entry in entries if entry.cost.key.startswith(own)]


def totals(entries: Iterable[Entry]) -> dict[str, Any]:
    """Sums for the report.

    Returns: {kind: {state: {n, usd, tokens, expert_seconds, compute_seconds, n_simulated, n_usage_unstated,
        usd_usage_unstated}}} of the kinds and states that occur, and "total" likewise over all kinds; the last two are of the
        entries whose usage was not stated.
    """
    sums: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in entries:
        for kind in (entry.cost.kind, "total"):
            box = sums.setdefault(kind, {}).setdefault(entry.state, dict(_NO_ENTRY))
            box["n"] += 1
            box["n_simulated"] += int(entry.cost.is_simulated)
            box["n_usage_unstated"] += int(entry.cost.is_usage_unstated)
            box["usd_usage_unstated"] += entry.cost.usd if entry.cost.is_usage_unstated else 0.0
            for name in _FIGURES:
                box[name] = box.get(name, 0) + getattr(entry.cost, name)
    return sums


def expert_time(entries: Iterable[Entry]) -> dict[str, Any]:
    """What experts worked, or may have worked.

    Returns: {seconds, is_simulated}; simulated where the time of some expert is.
    """
    counted = [entry.cost for entry in entries if entry.cost.kind == "expert" and entry.state != RELEASED]
    return {
        "seconds": sum(cost.expert_seconds for cost in counted),
        "is_simulated": any(cost.is_simulated for cost in counted),
    }
