"""The tables of annotation: what outside calls brought, and the decisions, which are appended and never overwritten."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from services.oracle.ports import Outcome, Spending
from shared.database import reader
from shared.events.bus import Event
from shared.events.outbox import Outbox


@dataclass(frozen=True)
class StoredOutcome:
    """An outcome under its ledger key, and whether the ledger is known to have it settled."""

    key: str
    outcome: Outcome
    is_settled: bool


class OracleStore:
    """The oracle's own database. Everything in it belongs to a work: what a request asks, by whatever operation.

    Args:
        engine: The service's database; missing tables are made.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        metadata = sa.MetaData()
        self._outcomes = sa.Table(
            "call_outcomes",
            metadata,
            sa.Column("work_id", sa.String(64), primary_key=True),
            sa.Column("key", sa.String(500), primary_key=True),
            sa.Column("kind", sa.String(20), nullable=False),
            sa.Column("body", sa.Text, nullable=False),
            sa.Column("is_settled", sa.Boolean, nullable=False),
        )
        self._decisions = sa.Table(
            "appended_decisions",
            metadata,
            sa.Column("work_id", sa.String(64), primary_key=True),
            sa.Column("decision_id", sa.String(64), primary_key=True),
            sa.Column("body", sa.Text, nullable=False),
        )
        self.outbox = Outbox(metadata)
        metadata.create_all(engine)

    def outcomes(self, work_id: str, kind: str) -> dict[str, StoredOutcome]:
        """What the calls of one kind in a work brought so far, by key."""
        mine = (self._outcomes.c.work_id == work_id) & (self._outcomes.c.kind == kind)
        with reader(self._engine).connect() as connection:
            rows = connection.execute(sa.select(self._outcomes).where(mine)).all()
        return {row.key: StoredOutcome(row.key, _decode(row.body), row.is_settled) for row in rows}

    def keep_outcomes(
        self, work_id: str, kind: str, outcomes: Mapping[str, Outcome], *, is_settled: bool
    ) -> None:
        """Store outcomes under keys that were not stored before.

        Raises:
            sqlalchemy.exc.IntegrityError: One of the keys was stored before; nothing is stored.
        """
        rows = [
            {
                "work_id": work_id,
                "key": key,
                "kind": kind,
                "body": json.dumps(asdict(outcome), sort_keys=True),
                "is_settled": is_settled,
            }
            for key, outcome in outcomes.items()
        ]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(self._outcomes), rows)

    def mark_settled(self, work_id: str, keys: Iterable[str]) -> None:
        """Note that the ledger has settled these outcomes."""
        mine = (self._outcomes.c.work_id == work_id) & self._outcomes.c.key.in_(list(keys))
        with self._engine.begin() as connection:
            connection.execute(sa.update(self._outcomes).where(mine).values(is_settled=True))

    def append_decision(
        self, work_id: str, decision_id: str, body: Mapping[str, Any], events: Sequence[Event]
    ) -> bool:
        """Append a decision with the events that tell of it, in one transaction.

        Returns: False where the decision was there already; it stays as it was, and no event is added.
        """
        row = {"work_id": work_id, "decision_id": decision_id}
        try:
            with self._engine.begin() as connection:
                connection.execute(
                    sa.insert(self._decisions).values(body=json.dumps(body, sort_keys=True), **row)
                )
                for event in events:
                    self.outbox.add(connection, event)
        except IntegrityError:
            return False
        return True

    def decisions(self, work_id: str) -> list[dict[str, Any]]:
        """The decisions of a work in the order of their ids."""
        mine = self._decisions.c.work_id == work_id
        query = sa.select(self._decisions.c.body).where(mine).order_by(self._decisions.c.decision_id)
        with reader(self._engine).connect() as connection:
            return [json.loads(body) for body in connection.execute(query).scalars()]


def _decode(body: str) -> Outcome:
    fields = json.loads(body)
    return Outcome(fields["letter"], fields["action"], Spending(**fields["spending"]))
