"""The table of the budget ledger. Its rules are `domain.ledger`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from prometheus_client import Counter

from services.controller.domain.ledger import (
    RESERVED,
    SETTLED,
    UNKNOWN,
    Cost,
    Entry,
    Limits,
    require_valid,
    require_within,
)
from shared.database import SERIAL, insert_new, reader, serialize
from shared.errors import AlreadyExists, FailedPrecondition

METADATA = sa.MetaData()
_TABLE = sa.Table(
    "ledger",
    METADATA,
    sa.Column("sequence", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("usd", sa.Float, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("expert_seconds", sa.Float, nullable=False),
    sa.Column("compute_seconds", sa.Float, nullable=False),
    sa.Column("is_simulated", sa.Boolean, nullable=False),
    sa.UniqueConstraint("run_id", "key", "attempt"),
)
_BATCH = 500
_DOLLARS = Counter(
    "medq_controller_spent_dollars_total", "Dollars that were settled in the ledger, simulated ones included.", ["kind"]
)
_EXPERT_SECONDS = Counter(
    "medq_controller_expert_seconds_total",
    "Active seconds of experts that were settled in the ledger, simulated ones included.",
)
_UNKNOWN_COSTS = Counter("medq_controller_unknown_costs_total", "Reservations whose outcome a kill made unknown.")


class Ledger:
    """What runs have reserved and spent.

    Args:
        engine: The controller's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def reserve(self, run_id: str, costs: Sequence[Cost], limits: Limits) -> list[str]:
        """Reserve all of the costs, or none.

        An open reservation of the same key becomes unknown and a new attempt is opened; a settled key stays as it is.

        Returns: The keys whose earlier attempt now stands as unknown, in the order of the request.

        Raises:
            InvalidArgument: See `require_valid`.
            BudgetExhausted: See `require_within`; unknown attempts count at their reserved figures.
        """
        require_valid(costs)
        with self._engine.begin() as connection:
            serialize(connection, f"ledger/{run_id}")
            latest = _latest(connection, run_id, [cost.key for cost in costs])
            new = [cost for cost in costs if cost.key not in latest or latest[cost.key].state != SETTLED]
            usd, expert_seconds = _committed(connection, run_id)
            more = (sum(cost.usd for cost in new), sum(cost.expert_seconds for cost in new))
            require_within(limits, usd, expert_seconds, *more)
            reopened = [latest[cost.key] for cost in new if cost.key in latest]
            for row in reopened:
                connection.execute(sa.update(_TABLE).where(_TABLE.c.sequence == row.sequence).values(state=UNKNOWN))
            attempts = {key: row.attempt for key, row in latest.items()}
            rows = [
                {"run_id": run_id, "attempt": attempts.get(cost.key, 0) + 1, "state": RESERVED, **vars(cost)}
                for cost in new
            ]
            insert_new(connection, _TABLE, rows)
        _UNKNOWN_COSTS.inc(len(reopened))
        return [str(row.key) for row in reopened]

    def settle(self, run_id: str, costs: Sequence[Cost]) -> None:
        """Settle all of the costs at what they were, or none. Settling again at the same figures changes nothing.

        Raises:
            InvalidArgument: See `require_valid`.
            FailedPrecondition: A key was never reserved.
            AlreadyExists: A key was settled before at other figures.
        """
        require_valid(costs)
        with self._engine.begin() as connection:
            serialize(connection, f"ledger/{run_id}")
            latest = _latest(connection, run_id, [cost.key for cost in costs])
            new = [cost for cost in costs if cost.key in latest and latest[cost.key].state != SETTLED]
            for cost in costs:
                row = latest.get(cost.key)
                if row is None:
                    raise FailedPrecondition(
                        "A cost is reserved before it is settled.",
                        field="costs.key",
                        value=cost.key,
                        remedy="Call ReserveCosts first.",
                    )
                if row.state == SETTLED and _to_entry(row).cost != cost:
                    raise AlreadyExists(
                        "The key was settled before at other figures.", field="costs.key", value=cost.key
                    )
                connection.execute(
                    sa.update(_TABLE).where(_TABLE.c.sequence == row.sequence).values(state=SETTLED, **vars(cost))
                )
        for cost in new:
            _DOLLARS.labels(cost.kind).inc(cost.usd)
            _EXPERT_SECONDS.inc(cost.expert_seconds)

    def entries(self, run_id: str, limit: int, after: int = 0) -> tuple[list[Entry], int | None]:
        """Rows of a run in the order of reservation, and the sequence number to go on after (None at the end)."""
        query = (
            sa.select(_TABLE)
            .where((_TABLE.c.run_id == run_id) & (_TABLE.c.sequence > after))
            .order_by(_TABLE.c.sequence)
            .limit(limit + 1)
        )
        with reader(self._engine).connect() as connection:
            rows = connection.execute(query).all()
        following = rows[limit - 1].sequence if len(rows) > limit else None
        return [_to_entry(row) for row in rows[:limit]], following

    def all_entries(self, run_id: str) -> list[Entry]:
        """Every row of a run in the order of reservation."""
        query = sa.select(_TABLE).where(_TABLE.c.run_id == run_id).order_by(_TABLE.c.sequence)
        with reader(self._engine).connect() as connection:
            return [_to_entry(row) for row in connection.execute(query)]

    def committed(self, run_id: str) -> tuple[float, float]:
        """US dollars and expert seconds that count against the limits: settled, reserved and unknown."""
        with reader(self._engine).connect() as connection:
            return _committed(connection, run_id)


def _committed(connection: sa.Connection, run_id: str) -> tuple[float, float]:
    sums = (sa.func.coalesce(sa.func.sum(_TABLE.c[name]), 0.0) for name in ("usd", "expert_seconds"))
    usd, expert_seconds = connection.execute(sa.select(*sums).where(_TABLE.c.run_id == run_id)).one()
    return float(usd), float(expert_seconds)


def _latest(connection: sa.Connection, run_id: str, keys: list[str]) -> dict[str, Any]:
    """The newest row of each key that has one."""
    found: dict[str, Any] = {}
    for start in range(0, len(keys), _BATCH):
        query = (
            sa.select(_TABLE)
            .where((_TABLE.c.run_id == run_id) & _TABLE.c.key.in_(keys[start : start + _BATCH]))
            .order_by(_TABLE.c.attempt)
        )
        found |= {row.key: row for row in connection.execute(query)}
    return found


def _to_entry(row: Any) -> Entry:
    cost = Cost(**{name: getattr(row, name) for name in Cost.__dataclass_fields__})
    return Entry(cost, row.attempt, row.state)
