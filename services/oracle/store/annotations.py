"""The tables of annotation: what outside calls brought, and the decisions, which are appended and never overwritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from services.oracle.ports import Outcome
from shared.database import insert_ignoring, insert_new, insist, reader
from shared.events.bus import Event
from shared.events.outbox import Outbox
from shared.rows.annotation import Decision
from shared.rows.encoding import from_json, to_json

METADATA = sa.MetaData()
_OUTCOMES = sa.Table(
    "call_outcomes",
    METADATA,
    sa.Column("work_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    # Of the release before, which reads it: what it finds, it settles again.
    sa.Column("is_settled", sa.Boolean, nullable=False, default=False),
)
_DECISIONS = sa.Table(
    "appended_decisions",
    METADATA,
    sa.Column("work_id", sa.Text, primary_key=True),
    sa.Column("decision_id", sa.Text, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
#: What the service publishes waits here.
OUTBOX = Outbox(METADATA)


class OracleStore:
    """The oracle's own database. Everything in it belongs to a work: what a request asks, by whatever operation.

    Args:
        engine: The service's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def outcomes(self, work_id: str, kind: str) -> dict[str, Outcome]:
        """What the calls of one kind in a work brought so far, by key."""
        mine = (_OUTCOMES.c.work_id == work_id) & (_OUTCOMES.c.kind == kind)
        with reader(self._engine).connect() as connection:
            rows = connection.execute(sa.select(_OUTCOMES).where(mine)).all()
        return {row.key: msgspec.json.decode(row.body, type=Outcome) for row in rows}

    @insist
    def keep_outcomes(self, work_id: str, kind: str, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
        """Store outcomes, all or none; what is stored under a key already stays. Outlasts an outage: they were paid for.

        Returns: What is stored under these keys.
        """
        same = {"work_id": work_id, "kind": kind}
        rows = [
            {"key": key, "body": msgspec.json.encode(outcome).decode(), **same}
            for key, outcome in sorted(outcomes.items())
        ]
        with self._engine.begin() as connection:
            insert_new(connection, _OUTCOMES, rows)
            mine = (_OUTCOMES.c.work_id == work_id) & _OUTCOMES.c.key.in_(list(outcomes))
            stored = connection.execute(sa.select(_OUTCOMES.c.key, _OUTCOMES.c.body).where(mine)).all()
        return {row.key: msgspec.json.decode(row.body, type=Outcome) for row in stored}

    def append_decision(self, work_id: str, decision: Decision, events: Sequence[Event]) -> bool:
        """Append a decision with the events that tell of it, in one transaction.

        Returns: False where the decision was there already; it stays as it was, and no event is added.
        """
        row = {"work_id": work_id, "decision_id": decision.decision_id, "body": to_json(decision)}
        with self._engine.begin() as connection:
            is_new = insert_ignoring(connection, _DECISIONS, row)
            for event in events if is_new else ():
                OUTBOX.add(connection, event)
        return is_new

    def decisions(self, work_id: str) -> list[Decision]:
        """The decisions of a work in the order of their ids."""
        mine = _DECISIONS.c.work_id == work_id
        query = sa.select(_DECISIONS.c.body).where(mine).order_by(_DECISIONS.c.decision_id)
        with reader(self._engine).connect() as connection:
            bodies = connection.execute(query).scalars()
            return [from_json(body.encode(), Decision, "A stored decision") for body in bodies]
