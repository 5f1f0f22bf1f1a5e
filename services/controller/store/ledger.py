"""The table of the budget ledger. Its rules are `domain.ledger`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from prometheus_client import Counter

from services.controller.domain.ledger import (
    RELEASED,
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
    sa.Column("request_id", sa.Text),  # of the reservation
    sa.Column("is_usage_unstated", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("run_id", "key", "attempt"),
)
_BATCH = 500
_NOTHING = {"usd": 0.0, "tokens": 0, "expert_seconds": 0.0, "compute_seconds": 0.0}
_DOLLARS = Counter(
    "medq_controller_spent_dollars_total", "Dollars that were settled in the ledger, simulated ones included.", ["kind"]
)
_EXPERT_SECONDS = Counter(
    "medq_controller_expert_seconds_total",
    "Active seconds of experts that were settled in the ledger, simulated ones included.",
)
_UNKNOWN_COSTS = Counter(
    "medq_controller_unknown_costs_total", "Reservations of which nobody can know whether they were paid."
)


class Ledger:
    """What runs have reserved and spent.

    Args:
        engine: The controller's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def reserve(self, run_id: str, costs: Sequence[Cost], limits: Limits, request_id: str = "") -> list[str]:
        """Reserve all of the costs, or none: a new attempt for each. An attempt of the same key that is open becomes unknown.

        Args:
            run_id: Whose they are.
            costs: With different keys.
            limits: What the run may spend; unknown attempts count at their reserved figures.
            request_id: The same one again changes nothing; "" reserves anew each time.

        Returns: The keys whose earlier attempt stands as unknown, in the order of the request.

        Raises:
            InvalidArgument: See `require_valid`.
            BudgetExhausted: See `require_within`.
            AlreadyExists: The request id was used with other keys.
        """
        require_valid(costs)
        with self._engine.begin() as connection:
            serialize(connection, f"ledger/{run_id}")
            latest = _latest(connection, run_id, [cost.key for cost in costs])
            if request_id and (known := _attempts_of(connection, run_id, request_id)):
                return _repeated(connection, run_id, costs, known)
            usd, expert_seconds = _committed(connection, run_id)
            more = (sum(cost.usd for cost in costs), sum(cost.expert_seconds for cost in costs))
            require_within(limits, usd, expert_seconds, *more)
            left_open = [row.sequence for row in latest.values() if row.state == RESERVED]
            _close(connection, left_open, state=UNKNOWN)
            attempts = {key: row.attempt for key, row in latest.items()}
            same = {"run_id": run_id, "state": RESERVED, "request_id": request_id}
            rows = [{"attempt": attempts.get(cost.key, 0) + 1, **same, **vars(cost)} for cost in costs]
            insert_new(connection, _TABLE, rows)
        _UNKNOWN_COSTS.inc(len(left_open))
        return [cost.key for cost in costs if cost.key in latest and latest[cost.key].state in (RESERVED, UNKNOWN)]

    def settle(self, run_id: str, costs: Sequence[Cost], *, is_on_record: bool = False) -> None:
        """Settle all of the costs at what they were, or none. Settling again at the same figures changes nothing.

        Args:
            run_id: Whose they are.
            costs: With different keys.
            is_on_record: They are known from before: what this table has lost, or knows at other figures, is entered too.

        Raises:
            InvalidArgument: See `require_valid`.
            FailedPrecondition: A key was never reserved, and is not on record.
            AlreadyExists: A key was settled before at other figures, and is not on record.
        """
        require_valid(costs)
        with self._engine.begin() as connection:
            serialize(connection, f"ledger/{run_id}")
            attempts: dict[str, list[Any]] = {cost.key: [] for cost in costs}
            for row in _rows(connection, run_id, list(attempts)):
                attempts[row.key].append(row)
            new = [cost for cost in costs if not _is_settled(cost, attempts[cost.key], is_on_record)]
            for cost in new:
                _settle(connection, run_id, cost, attempts[cost.key], is_on_record)
        for cost in new:
            _DOLLARS.labels(cost.kind).inc(cost.usd)
            _EXPERT_SECONDS.inc(cost.expert_seconds)

    def release(self, run_id: str, request_id: str, keys: Sequence[str], unknown_keys: Sequence[str] = ()) -> None:
        """Close what a request reserved and what is open still: it cost nothing, or nobody can know whether it did."""
        with self._engine.begin() as connection:
            serialize(connection, f"ledger/{run_id}")
            mine = {row.key: row for row in _attempts_of(connection, run_id, request_id) if row.state == RESERVED}
            released = [mine[key].sequence for key in keys if key in mine]
            unknown = [mine[key].sequence for key in set(unknown_keys).difference(keys) if key in mine]
            _close(connection, released, state=RELEASED, **_NOTHING)
            _close(connection, unknown, state=UNKNOWN)
        _UNKNOWN_COSTS.inc(len(unknown))

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

    def committed_by_run(self, run_ids: Collection[str]) -> dict[str, tuple[float, float, bool]]:
        """What counts against the limits, by run, and whether a part is simulated; a run that cost nothing is missing."""
        usd, seconds = (sa.func.sum(_TABLE.c[name]) for name in ("usd", "expert_seconds"))
        costs = (_TABLE.c.usd > 0) | (_TABLE.c.expert_seconds > 0)
        n_simulated = sa.func.sum(sa.case((_TABLE.c.is_simulated, 1), else_=0))
        query = sa.select(_TABLE.c.run_id, usd, seconds, n_simulated).where(_TABLE.c.run_id.in_(run_ids) & costs)
        with reader(self._engine).connect() as connection:
            rows = connection.execute(query.group_by(_TABLE.c.run_id)).all()
        return {run_id: (float(dollars), float(active), n > 0) for run_id, dollars, active, n in rows}

    def committed(self, run_id: str) -> tuple[float, float]:
        """US dollars and expert seconds that count against the limits: settled, reserved and unknown."""
        with reader(self._engine).connect() as connection:
            return _committed(connection, run_id)


def _committed(connection: sa.Connection, run_id: str) -> tuple[float, float]:
    sums = (sa.func.coalesce(sa.func.sum(_TABLE.c[name]), 0.0) for name in ("usd", "expert_seconds"))
    usd, expert_seconds = connection.execute(sa.select(*sums).where(_TABLE.c.run_id == run_id)).one()
    return float(usd), float(expert_seconds)


def _latest(connection: sa.Connection, run_id: str, keys: Sequence[str]) -> dict[str, Any]:
    """The newest row of each key that has one."""
    return {row.key: row for row in _rows(connection, run_id, keys)}


def _rows(connection: sa.Connection, run_id: str, keys: Sequence[str]) -> Iterator[Any]:
    """The rows of these keys, for each key in the order of its attempts."""
    for start in range(0, len(keys), _BATCH):
        mine = (_TABLE.c.run_id == run_id) & _TABLE.c.key.in_(keys[start : start + _BATCH])
        yield from connection.execute(sa.select(_TABLE).where(mine).order_by(_TABLE.c.attempt))


def _attempts_of(connection: sa.Connection, run_id: str, request_id: str) -> Sequence[Any]:
    """The rows that a request reserved."""
    mine = (_TABLE.c.run_id == run_id) & (_TABLE.c.request_id == request_id)
    return connection.execute(sa.select(_TABLE).where(mine)).all()


def _repeated(connection: sa.Connection, run_id: str, costs: Sequence[Cost], known: Sequence[Any]) -> list[str]:
    """What a request was answered before."""
    attempts = {row.key: row.attempt for row in known}
    keys = [cost.key for cost in costs]
    if attempts.keys() != set(keys):
        raise AlreadyExists(
            "The request id was used before with other keys.",
            field="request_id",
            value=known[0].request_id,
            remedy="Choose another id for each reservation.",
        )
    unknown = {(row.key, row.attempt) for row in _rows(connection, run_id, keys) if row.state == UNKNOWN}
    return [key for key in keys if (key, attempts[key] - 1) in unknown]


def _is_settled(cost: Cost, attempts: Sequence[Any], is_on_record: bool) -> bool:
    """Whether nothing is left to settle: the last attempt has these figures; of what is on record, any closed one has."""
    if not attempts or attempts[-1].state == RESERVED:
        return False
    looked_at = attempts if is_on_record else attempts[-1:]
    # Whether the usage was stated is no figure: a caller of the release before does not know it.
    said = replace(cost, is_usage_unstated=False)
    return any(
        row.state == SETTLED and replace(_to_entry(row).cost, is_usage_unstated=False) == said for row in looked_at
    )


def _settle(connection: sa.Connection, run_id: str, cost: Cost, attempts: Sequence[Any], is_on_record: bool) -> None:
    """Settle the last attempt at a piece of work; enter what is on record and has none to settle."""
    if attempts and attempts[-1].state != SETTLED:
        _close(connection, [attempts[-1].sequence], state=SETTLED, **vars(cost))
    elif is_on_record:
        attempt = attempts[-1].attempt + 1 if attempts else 1
        insert_new(connection, _TABLE, [{"run_id": run_id, "attempt": attempt, "state": SETTLED, **vars(cost)}])
    elif attempts:
        raise AlreadyExists("The key was settled before at other figures.", field="costs.key", value=cost.key)
    else:
        raise FailedPrecondition(
            "A cost is reserved before it is settled.",
            field="costs.key",
            value=cost.key,
            remedy="Call ReserveCosts first.",
        )


def _close(connection: sa.Connection, sequences: Sequence[int], **values: Any) -> None:
    for start in range(0, len(sequences), _BATCH):
        mine = _TABLE.c.sequence.in_(sequences[start : start + _BATCH])
        connection.execute(sa.update(_TABLE).where(mine).values(**values))


def _to_entry(row: Any) -> Entry:
    cost = Cost(**{name: getattr(row, name) for name in Cost.__dataclass_fields__})
    return Entry(cost, row.attempt, row.state)
